package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"
)

// maxDatagram is the largest UDP payload over IPv6 without jumbograms, in bytes
// (RFC 8200 section 3: payload length 65535 minus the UDP header).
const maxDatagram = 65527

// The first byte of a datagram selects what the server does with it.
const (
	datagramEcho  = 'E' // send back unchanged
	datagramFlood = 'F' // count, per client
	datagramStats = 'S' // answer "COUNT NANOSECONDS" of the client's flood
	datagramReply = 'R' // answer with a datagram of the decimal size that follows
	datagramPeer  = 'p' // "peer": answer with the client's address
)

// flood counts the datagrams of one client.
type flood struct {
	count       int
	first, last time.Time
}

// serveUDP answers datagrams until the socket fails.
func serveUDP(c *net.UDPConn) {
	_ = c.SetReadBuffer(4 << 20)
	floods := make(map[netip.AddrPort]*flood)
	buf := make([]byte, maxDatagram+1)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || n == 0 {
			continue // an ICMP error for an earlier answer, or an empty datagram
		}
		switch b := buf[:n]; b[0] {
		case datagramFlood:
			countFlood(floods, from)
		case datagramEcho:
			_, _ = c.WriteToUDPAddrPort(b, from)
		default:
			_, _ = c.WriteToUDPAddrPort(answerDatagram(b, from, floods[from]), from)
		}
	}
}

func countFlood(floods map[netip.AddrPort]*flood, from netip.AddrPort) {
	now := time.Now()
	f := floods[from]
	if f == nil {
		f = &flood{first: now}
		floods[from] = f
	}
	f.count++
	f.last = now
}

// answerDatagram computes the answer to all requests but echo.
func answerDatagram(request []byte, from netip.AddrPort, f *flood) []byte {
	switch request[0] {
	case datagramStats:
		if f == nil {
			f = &flood{}
		}
		return fmt.Appendf(nil, "%d %d", f.count, f.last.Sub(f.first).Nanoseconds())
	case datagramReply:
		size, _ := strconv.Atoi(string(request[1:]))
		return patterned(min(size, maxDatagram), 0)
	case datagramPeer:
		return fmt.Appendf(nil, "%v\n", netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
	}
	return []byte("unknown request")
}

// patterned returns size bytes that depend on their number and on seq.
func patterned(size, seq int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i + i>>8 + seq)
	}
	return b
}
