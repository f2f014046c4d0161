package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// dialers is the number of connections set up at the same time.
const dialers = 64

// runHold opens -count connections, uses each of them, keeps all open until
// standard input ends, and uses each again. With -some it is enough to hold those that
// can be had.
func runHold(args []string) error {
	f := newClient("hold")
	count := f.Int("count", 1000, "connections to hold")
	some := f.Bool("some", false, "do without connections that fail")
	addr, err := f.address(args)
	if err != nil {
		return err
	}
	return hold(addr, *count, *some, os.Stdin, os.Stdout)
}

// hold is runHold between in and out.
func hold(addr string, count int, some bool, in io.Reader, out io.Writer) error {
	start := time.Now()
	conns := make([]net.Conn, count)
	failed := each(count, dialers, func(i int) error {
		c, err := connect(addr)
		if err != nil {
			return err
		}
		if err := exchange(c, "echo\n", uint64(i)); err != nil {
			c.Close()
			return err
		}
		conns[i] = c
		return nil
	})
	if failed != nil && !some {
		return fmt.Errorf("open: %w", failed)
	}
	conns = slices.DeleteFunc(conns, func(c net.Conn) bool { return c == nil })
	fmt.Fprintf(out, "held %d after %.4f s\n", len(conns), time.Since(start).Seconds())
	if _, err := io.Copy(io.Discard, in); err != nil {
		return err
	}
	var answered atomic.Int64
	failed = each(len(conns), dialers, func(i int) error {
		err := exchange(conns[i], "", ^uint64(i))
		if err == nil {
			answered.Add(1)
		}
		return err
	})
	if failed != nil && !some {
		return fmt.Errorf("use again: %w", failed)
	}
	fmt.Fprintln(out, "answered", answered.Load())
	return nil
}

// each runs work(0) to work(count-1), atOnce of them at a time, and returns one of the
// errors.
func each(count, atOnce int, work func(i int) error) error {
	var (
		next  atomic.Int64
		group sync.WaitGroup
		first = make(chan error, 1)
	)
	for range atOnce {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < count; i = int(next.Add(1)) - 1 {
				if err := work(i); err != nil {
					select {
					case first <- fmt.Errorf("connection %d: %w", i, err):
					default:
					}
				}
			}
		})
	}
	group.Wait()
	select {
	case err := <-first:
		return err
	default:
		return nil
	}
}

// exchange sends a tag behind the command, if one is given, and wants it back, so
// that mixed-up connections show.
func exchange(c net.Conn, command string, tag uint64) error {
	var in [8]byte
	out := binary.BigEndian.AppendUint64([]byte(command), tag)
	if _, err := c.Write(out); err != nil {
		return err
	}
	if _, err := io.ReadFull(c, in[:]); err != nil {
		return err
	}
	if want := out[len(command):]; !bytes.Equal(in[:], want) {
		return fmt.Errorf("got %x back, want %x", in, want)
	}
	return nil
}
