package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// echoHeaderLen is the length in bytes of the type and the number of a datagram.
const echoHeaderLen = 5

// runUDPEcho sends numbered datagrams, -window of them in flight, and wants
// every one back, unchanged and once.
func runUDPEcho(args []string) error {
	f := newClient("udp-echo")
	count := f.Int("count", 1, "datagrams")
	size := f.Int("size", 5, "payload in bytes; below 5 they carry no number and go one by one")
	window := f.Int("window", 16, "datagrams in flight")
	addr, err := f.address(args)
	if err != nil {
		return err
	}
	c, err := net.Dial("udp", addr)
	if err != nil {
		return err
	}
	if *size < echoHeaderLen {
		*window = 1
	}
	for base := 0; base < *count; base += *window {
		if err := echoWindow(c, base, min(*window, *count-base), *size); err != nil {
			return err
		}
	}
	fmt.Println("ok", *count)
	return nil
}

// echoWindow sends the datagrams base to base+n-1 and collects them in any order.
func echoWindow(c net.Conn, base, n, size int) error {
	for i := range n {
		if _, err := c.Write(echoDatagram(base+i, size)); err != nil {
			return fmt.Errorf("send datagram %d: %w", base+i, err)
		}
	}
	if err := c.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return err
	}
	seen := make([]bool, n)
	buf := make([]byte, maxDatagram+1)
	for got := range n {
		k, err := c.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("%d of %d datagrams from number %d on came back", got, n, base)
		}
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		if err := checkEcho(buf[:k], base, size, seen); err != nil {
			return err
		}
	}
	return nil
}

func echoDatagram(seq, size int) []byte {
	b := patterned(max(size, 1), seq)
	b[0] = datagramEcho
	if size >= echoHeaderLen {
		binary.BigEndian.PutUint32(b[1:], uint32(seq))
	}
	return b
}

func checkEcho(b []byte, base, size int, seen []bool) error {
	if len(b) != max(size, 1) {
		return fmt.Errorf("received %d bytes, want %d", len(b), size)
	}
	i := 0
	if size >= echoHeaderLen {
		i = int(binary.BigEndian.Uint32(b[1:])) - base
	}
	switch {
	case i < 0 || i >= len(seen):
		return fmt.Errorf("received datagram number %d out of window %d", i+base, base)
	case seen[i]:
		return fmt.Errorf("received datagram number %d twice", i+base)
	case !bytes.Equal(b, echoDatagram(i+base, size)):
		return fmt.Errorf("received datagram number %d changed", i+base)
	}
	seen[i] = true
	return nil
}

// runUDPReply asks for one datagram of the given size and checks it.
func runUDPReply(args []string) error {
	f := newClient("udp-reply")
	size := f.Int("size", 1, "payload of the answer in bytes")
	addr, err := f.address(args)
	if err != nil {
		return err
	}
	got, err := ask(addr, fmt.Sprintf("%c%d", datagramReply, *size))
	if err != nil {
		return err
	}
	if !bytes.Equal(got, patterned(*size, 0)) {
		return fmt.Errorf("got %d bytes, want %d unchanged", len(got), *size)
	}
	fmt.Println("ok", len(got))
	return nil
}

func ask(addr, request string) ([]byte, error) {
	c, err := net.Dial("udp", addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return askOn(c, request, udpErrorWait)
}

func askOn(c net.Conn, request string, wait time.Duration) ([]byte, error) {
	if _, err := c.Write([]byte(request)); err != nil {
		return nil, err
	}
	if err := c.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return nil, err
	}
	buf := make([]byte, maxDatagram+1)
	n, err := c.Read(buf)
	return buf[:n], err
}
