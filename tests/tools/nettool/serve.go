package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// server answers the protocols of all client subcommands. Over TCP a client
// sends one command line first:
//
//	up MS               read to the end of the stream, after a pause of MS
//	                    milliseconds, then answer "BYTES DIGEST\n"
//	down SIZE US        send SIZE bytes (one per US microseconds if US is not
//	                    zero), then their digest, then close
//	half-close SIZE ID  send like down, close that direction, then read to the
//	                    end and keep the result under ID
//	result ID           answer with the result kept under ID
//	echo                send everything back
//	once                send one byte back, then close
//	peer                answer with the client's address
//	reset               reset the connection
type server struct {
	mu      sync.Mutex
	results map[string]chan string
}

// runServe listens on every address given, then prints "ready" and serves until
// it is killed.
func runServe(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("want at least one address")
	}
	s := &server{results: make(map[string]chan string)}
	for _, addr := range args {
		if err := s.listen(addr); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	select {}
}

// listen starts serving TCP and UDP on addr. UDP sockets are bound to one
// address each, so that answers leave from the address that was asked.
func (s *server) listen(addr string) error {
	config := net.ListenConfig{KeepAlive: noKeepAlive}
	l, err := config.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return err
	}
	u, err := net.ListenPacket("udp", addr)
	if err != nil {
		return err
	}
	go s.accept(l)
	go serveUDP(u.(*net.UDPConn))
	return nil
}

func (s *server) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond) // out of descriptors: let some close
			continue
		}
		go s.serve(c.(*net.TCPConn))
	}
}

// serve runs the one command of a connection. Errors end the connection; the
// client notices by a wrong digest or length.
func (s *server) serve(c *net.TCPConn) {
	defer c.Close()
	r := bufio.NewReader(c)
	line, err := r.ReadString('\n')
	if err != nil {
		return
	}
	words := append(strings.Fields(line), "", "") // missing arguments read as empty
	number, _ := strconv.ParseInt(words[1], 10, 64)
	switch words[0] {
	case "up":
		time.Sleep(time.Duration(number) * time.Millisecond)
		answer(c, r)
	case "down":
		micros, _ := strconv.Atoi(words[2])
		sendWithDigest(c, number, time.Duration(micros)*time.Microsecond)
	case "half-close":
		s.halfClose(c, r, number, words[2])
	case "result":
		fmt.Fprint(c, <-s.result(words[1]))
	case "echo":
		_, _ = r.WriteTo(c)
	case "once":
		_, _ = io.CopyN(c, r, 1)
	case "peer":
		fmt.Fprintln(c, c.RemoteAddr())
	case "reset":
		_ = c.SetLinger(0)
	}
}

// answer reads to the end of the stream and sends back what arrived.
func answer(c *net.TCPConn, r *bufio.Reader) {
	n, sum, err := receive(r, -1)
	if err == nil {
		fmt.Fprintf(c, "%d %v\n", n, sum)
	}
}

func sendWithDigest(c *net.TCPConn, size int64, interval time.Duration) {
	sum, err := send(c, size, interval)
	if err == nil {
		_, _ = c.Write(sum[:])
	}
}

func (s *server) halfClose(c *net.TCPConn, r *bufio.Reader, size int64, id string) {
	sendWithDigest(c, size, 0)
	_ = c.CloseWrite()
	n, sum, err := receive(r, -1)
	if err != nil {
		s.result(id) <- fmt.Sprintln(err)
		return
	}
	s.result(id) <- fmt.Sprintf("%d %v\n", n, sum)
}

// result returns the mailbox of one half-close run, made on first use.
func (s *server) result(id string) chan string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.results[id] == nil {
		s.results[id] = make(chan string, 1)
	}
	return s.results[id]
}
