package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
)

// DNS constants of RFC 1035 section 4.1.
const (
	dnsHeaderLen = 12
	dnsTypeA     = 1
	dnsTypeAAAA  = 28
	dnsClassIN   = 1
	dnsTTLSec    = 60
)

// runDNSServe answers every query for an address with IP, over UDP and TCP: a
// resolver that says which one it is.
func runDNSServe(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("want ADDR and IP, got %q", args)
	}
	ip, err := netip.ParseAddr(args[1])
	if err != nil {
		return err
	}
	u, err := net.ListenPacket("udp", args[0])
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	fmt.Println("ready")
	go serveDNSTCP(l, ip)
	return serveDNSUDP(u, ip)
}

func serveDNSUDP(u net.PacketConn, ip netip.Addr) error {
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := u.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		if answer := dnsAnswer(buf[:n], ip); answer != nil {
			_, _ = u.WriteTo(answer, from)
		}
	}
}

func serveDNSTCP(l net.Listener, ip netip.Addr) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			var length [2]byte
			if _, err := io.ReadFull(c, length[:]); err != nil {
				return
			}
			query := make([]byte, binary.BigEndian.Uint16(length[:]))
			if _, err := io.ReadFull(c, query); err != nil {
				return
			}
			answer := dnsAnswer(query, ip)
			_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
		}()
	}
}

// dnsAnswer builds the answer to a query with one question; nil for anything
// else. A question for the other address family gets an empty answer.
func dnsAnswer(query []byte, ip netip.Addr) []byte {
	end := dnsHeaderLen
	for end < len(query) && query[end] != 0 {
		end += 1 + int(query[end])
	}
	end += 5 // root label, type, class
	if end > len(query) {
		return nil
	}
	want := uint16(dnsTypeA)
	if ip.Is6() {
		want = dnsTypeAAAA
	}
	answer := append([]byte(nil), query[:end]...)
	answer[2], answer[3] = 0x84|query[2]&0x01, 0x80 // response, authoritative; recursion available
	copy(answer[4:dnsHeaderLen], []byte{0, 1, 0, 0, 0, 0, 0, 0})
	if binary.BigEndian.Uint16(query[end-4:]) != want {
		return answer
	}
	answer[7] = 1
	answer = append(answer, 0xc0, dnsHeaderLen) // compressed name: the question's
	answer = binary.BigEndian.AppendUint16(answer, want)
	answer = binary.BigEndian.AppendUint16(answer, dnsClassIN)
	answer = binary.BigEndian.AppendUint32(answer, dnsTTLSec)
	answer = binary.BigEndian.AppendUint16(answer, uint16(len(ip.AsSlice())))
	return append(answer, ip.AsSlice()...)
}
