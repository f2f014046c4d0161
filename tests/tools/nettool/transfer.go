package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"
)

// noKeepAlive leaves out four system calls per connection at either end, which would
// be measured too.
const noKeepAlive = -1

// dial connects and sends the command line.
func dial(addr, format string, args ...any) (*net.TCPConn, error) {
	c, err := connect(addr)
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(c, format+"\n", args...); err != nil {
		return nil, err
	}
	return c, nil
}

// connect leaves sending the command to the caller.
func connect(addr string) (*net.TCPConn, error) {
	d := net.Dialer{KeepAlive: noKeepAlive}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), nil
}

// runUp uploads and compares the digest that the server computed.
func runUp(args []string) error {
	f := newClient("up")
	size := f.Int64("size", 1, "bytes to send")
	stall := f.Duration("stall", 0, "let the server read nothing for this long")
	interval := f.Duration("interval", 0, "send single bytes this far apart")
	addr, err := f.address(args)
	if err != nil {
		return err
	}
	c, err := dial(addr, "up %d", stall.Milliseconds())
	if err != nil {
		return err
	}
	sum, err := send(c, *size, *interval)
	if err != nil {
		return err
	}
	if err := c.CloseWrite(); err != nil {
		return err
	}
	return compareAnswer(c, *size, sum)
}

// compareAnswer reads "BYTES DIGEST\n" and the end of the stream from c.
func compareAnswer(c net.Conn, size int64, sum digest) error {
	got, err := io.ReadAll(c)
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return report(string(got), fmt.Sprintf("%d %v\n", size, sum))
}

// report prints the result of a transfer if it is as wanted.
func report(got, want string) error {
	if got != want {
		return fmt.Errorf("receiver got %q, want %q", got, want)
	}
	fmt.Print("ok ", got)
	return nil
}

// runDown downloads and compares the digest that follows the data.
func runDown(args []string) error {
	f := newClient("down")
	size := f.Int64("size", 1, "bytes to receive")
	stall := f.Duration("stall", 0, "read nothing for this long")
	interval := f.Duration("interval", 0, "let the server send single bytes this far apart")
	addr, err := f.address(args)
	if err != nil {
		return err
	}
	c, err := dial(addr, "down %d %d", *size, interval.Microseconds())
	if err != nil {
		return err
	}
	time.Sleep(*stall)
	return receiveWithDigest(c, *size)
}

// receiveWithDigest is the other end of sendWithDigest.
func receiveWithDigest(c net.Conn, size int64) error {
	n, sum, err := receive(c, size)
	if err != nil {
		return err
	}
	var want digest
	if _, err := io.ReadFull(c, want[:]); err != nil {
		return fmt.Errorf("read digest after %d bytes: %w", n, err)
	}
	if err := expectEOF(c); err != nil {
		return err
	}
	return report(fmt.Sprintf("%d %v\n", n, sum), fmt.Sprintf("%d %v\n", size, want))
}

// runHalfClose lets the server finish sending first, sees the end of that
// direction, and only then uses the other one.
func runHalfClose(args []string) error {
	f := newClient("half-close")
	size := f.Int64("size", 1, "bytes to send in each direction")
	addr, err := f.address(args)
	if err != nil {
		return err
	}
	id := strconv.Itoa(os.Getpid()) + "-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	c, err := dial(addr, "half-close %d %s", *size, id)
	if err != nil {
		return err
	}
	if err := receiveWithDigest(c, *size); err != nil {
		return err
	}
	sum, err := send(c, *size, 0)
	if err != nil {
		return err
	}
	if err := c.Close(); err != nil {
		return err
	}
	result, err := dial(addr, "result %s", id)
	if err != nil {
		return err
	}
	return compareAnswer(result, *size, sum)
}

// runReset prints the errno that a connection reset by the server ends with.
func runReset(args []string) error {
	addr, err := newClient("reset").address(args)
	if err != nil {
		return err
	}
	c, err := dial(addr, "reset")
	if err == nil {
		_, err = c.Read(make([]byte, 1))
	}
	if err == nil || errors.Is(err, io.EOF) {
		return fmt.Errorf("want a reset, got %v", err)
	}
	fmt.Println(errnoName(err))
	return nil
}

// runPeer prints the address that the server sees.
func runPeer(args []string) error {
	f := newClient("peer")
	source := f.String("source", "", "local address and port")
	udp := f.Bool("udp", false, "use UDP")
	addr, err := f.address(args)
	if err != nil {
		return err
	}
	network := "tcp"
	if *udp {
		network = "udp"
	}
	c, err := dialFrom(network, *source, addr)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(c, "peer"); err != nil {
		return err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return err
	}
	fmt.Print(line)
	return nil
}

// dialFrom connects from the local address source, unless that is empty.
func dialFrom(network, source, addr string) (net.Conn, error) {
	d := net.Dialer{}
	if source != "" {
		var err error
		if network == "udp" {
			d.LocalAddr, err = net.ResolveUDPAddr(network, source)
		} else {
			d.LocalAddr, err = net.ResolveTCPAddr(network, source)
		}
		if err != nil {
			return nil, err
		}
	}
	return d.Dial(network, addr)
}
