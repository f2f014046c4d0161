package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
)

// udpErrorWait is how long a UDP probe waits for an ICMP error or an answer.
const udpErrorWait = 2 * time.Second

// runConnect prints "ok" or the name of the errno that connecting ended with.
// It succeeds either way: callers compare the text.
func runConnect(args []string) error {
	f := newClient("connect")
	udp := f.Bool("udp", false, "send a datagram and wait for an answer or an error")
	addr, err := f.address(args)
	if err != nil {
		return err
	}
	if *udp {
		err = probeUDP(addr)
	} else {
		err = probeTCP(addr)
	}
	fmt.Println(errnoName(err))
	return nil
}

func probeTCP(addr string) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	return c.Close()
}

func probeUDP(addr string) error {
	c, err := net.Dial("udp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Write([]byte("peer\n")); err != nil {
		return err
	}
	if err := c.SetReadDeadline(time.Now().Add(udpErrorWait)); err != nil {
		return err
	}
	_, err = c.Read(make([]byte, 64))
	return err
}

// errnoName gives the symbolic name of the errno inside err, "ok" for nil.
func errnoName(err error) string {
	if err == nil {
		return "ok"
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "silence"
	}
	names := map[syscall.Errno]string{
		syscall.ECONNREFUSED: "ECONNREFUSED",
		syscall.ECONNRESET:   "ECONNRESET",
		syscall.EHOSTUNREACH: "EHOSTUNREACH",
		syscall.ENETUNREACH:  "ENETUNREACH",
		syscall.ETIMEDOUT:    "ETIMEDOUT",
		syscall.EACCES:       "EACCES",
		syscall.EMSGSIZE:     "EMSGSIZE",
	}
	var errno syscall.Errno
	if errors.As(err, &errno) && names[errno] != "" {
		return names[errno]
	}
	return err.Error()
}
