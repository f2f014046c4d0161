package main

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// runUDPFlood prints how many datagrams per second arrived, how many bits of
// payload per second, and the share that was lost.
func runUDPFlood(args []string) error {
	f := newClient("udp-flood")
	size := f.Int("size", 1400, "payload in bytes")
	span := f.Duration("for", 2*time.Second, "send for this long")
	addr, err := f.address(args)
	if err != nil {
		return err
	}
	c, err := net.Dial("udp", addr)
	if err != nil {
		return err
	}
	sent := sendFlood(c, *size, *span)
	count, elapsed, err := floodStats(c)
	if err != nil {
		return err
	}
	pps := float64(count) / max(elapsed, *span).Seconds()
	fmt.Printf("%.0f pps %.0f bit/s %.3f lost\n", pps, pps*float64(*size)*8, 1-float64(count)/float64(max(sent, 1)))
	return nil
}

// sendFlood sends for the span and returns how many datagrams the kernel took.
// A refused one (no buffer, an ICMP error) counts as not sent.
func sendFlood(c net.Conn, size int, span time.Duration) int {
	b := patterned(size, 0)
	b[0] = datagramFlood
	sent := 0
	for start := time.Now(); time.Since(start) < span; {
		for range 32 {
			if _, err := c.Write(b); err == nil {
				sent++
			}
		}
	}
	return sent
}

// floodStats asks the server what it counted. Queues are still full right after
// the flood, so questions or answers may be lost: it asks until the figure
// stands still.
func floodStats(c net.Conn) (count int, elapsed time.Duration, err error) {
	last := ""
	for range 20 {
		answer, askErr := askOn(c, string(rune(datagramStats)), 500*time.Millisecond)
		if askErr != nil {
			err = askErr
			continue
		}
		if string(answer) == last && last != "" {
			return parseStats(last)
		}
		last = string(answer)
		time.Sleep(100 * time.Millisecond)
	}
	return 0, 0, fmt.Errorf("ask for the count: no steady answer, last %q: %w", last, err)
}

func parseStats(answer string) (int, time.Duration, error) {
	count, nanos, _ := strings.Cut(answer, " ")
	n, err := strconv.Atoi(count)
	if err != nil {
		return 0, 0, fmt.Errorf("parse count %q: %w", answer, err)
	}
	d, err := strconv.ParseInt(nanos, 10, 64)
	if err != nil {
		return 0, 0, fmt.Errorf("parse count %q: %w", answer, err)
	}
	return n, time.Duration(d), nil
}
