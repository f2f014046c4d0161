package main

import (
	"fmt"
	"io"
	"time"
)

// runRR prints the number of one-byte requests answered per second on one
// connection.
func runRR(args []string) error {
	f := newClient("rr")
	span := f.Duration("for", 2*time.Second, "measure for this long")
	addr, err := f.address(args)
	if err != nil {
		return err
	}
	c, err := dial(addr, "echo")
	if err != nil {
		return err
	}
	defer c.Close()
	return printRate(*span, func() error { return ping(c) })
}

// runCRR prints the number of complete connections per second: connect, one
// request, one answer, close. The server closes first, so that TIME-WAIT (RFC
// 9293 section 3.6.1) holds its side: the client's ports would run out.
func runCRR(args []string) error {
	f := newClient("crr")
	span := f.Duration("for", 2*time.Second, "measure for this long")
	addr, err := f.address(args)
	if err != nil {
		return err
	}
	return printRate(*span, func() error {
		c, err := dial(addr, "once")
		if err != nil {
			return err
		}
		defer c.Close()
		if err := ping(c); err != nil {
			return err
		}
		return expectEOF(c)
	})
}

func ping(c io.ReadWriter) error {
	var b [1]byte
	if _, err := c.Write(b[:]); err != nil {
		return err
	}
	_, err := io.ReadFull(c, b[:])
	return err
}

// printRate repeats work for the span and prints how often per second it ran.
func printRate(span time.Duration, work func() error) error {
	n, start := 0, time.Now()
	for time.Since(start) < span {
		if err := work(); err != nil {
			return fmt.Errorf("after %d: %w", n, err)
		}
		n++
	}
	fmt.Printf("%.0f\n", float64(n)/time.Since(start).Seconds())
	return nil
}
