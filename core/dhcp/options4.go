package dhcp

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"math"
	"net"
	"net/netip"

	"github.com/pasta-net/pasta/core/packet"
)

// Options (RFC 2132 and those named).
const (
	optPad          = 0
	optMask         = 1
	optRouter       = 3
	optDNS          = 6
	optHostname     = 12
	optDomain       = 15
	optMTU          = 26
	optBroadcast    = 28
	optNTP          = 42
	optWanted       = 50
	optLease        = 51
	optMessageType  = 53
	optServerID     = 54
	optParameters   = 55
	optMaxLen       = 57
	optRapidCommit  = 80  // RFC 4039
	optFQDN         = 81  // RFC 4702
	optSearch       = 119 // RFC 3397
	optStaticRoutes = 121 // RFC 3442
	optEnd          = 255
)

// maxOptionLen is the longest value of one option.
const maxOptionLen = 255

// setOptions4 encodes the options that are the same in all replies.
func (s *Server) setOptions4(log *slog.Logger) {
	o, link, v4 := &s.options4, &s.cfg.Link, &s.cfg.V4
	o[optMessageType] = make([]byte, 1)
	o[optMask] = net.CIDRMask(v4.PrefixLen, 32)
	o[optLease] = leaseTime(link.LeaseSec)
	o[optServerID] = v4.Our.AsSlice()
	if v4.Gateway.IsValid() {
		o[optRouter] = v4.Gateway.AsSlice()
		o[optStaticRoutes] = staticRoutes(netip.PrefixFrom(v4.Guest, v4.PrefixLen), v4.Gateway)
	}
	if s.cfg.MTU != 0 {
		o[optMTU] = binary.BigEndian.AppendUint16(nil, uint16(s.cfg.MTU))
	}
	if link.SendDNS {
		for _, a := range v4.DNS {
			o[optDNS] = append(o[optDNS], a.AsSlice()...)
		}
	}
	if link.SendSearch {
		o[optSearch] = searchList4(link.Search, log)
	}
	for _, a := range link.NTP {
		o[optNTP] = append(o[optNTP], a.AsSlice()...)
	}
	if link.Broadcast {
		o[optBroadcast] = broadcast(netip.PrefixFrom(v4.Guest, v4.PrefixLen))
	}
	if link.Domain != "" {
		o[optDomain] = []byte(link.Domain)
	}
	if link.Hostname != "" {
		o[optHostname] = []byte(link.Hostname)
	}
	o[optFQDN] = fqdn4(link.FQDN, log)
}

// leaseTime encodes a time in seconds, 0 for ever.
func leaseTime(sec uint32) []byte {
	if sec == 0 {
		sec = math.MaxUint32
	}
	return binary.BigEndian.AppendUint32(nil, sec)
}

// broadcast is the last address of an IPv4 subnet (RFC 919 section 7).
func broadcast(subnet netip.Prefix) []byte {
	a := subnet.Addr().As4()
	hosts := uint32(uint64(1)<<(32-subnet.Bits()) - 1)
	return binary.BigEndian.AppendUint32(nil, binary.BigEndian.Uint32(a[:])|hosts)
}

// staticRoutes is nil if gateway is on the subnet; otherwise routes that make
// it reachable: to itself on the link, and the default route through it.
func staticRoutes(subnet netip.Prefix, gateway netip.Addr) []byte {
	if subnet.Contains(gateway) {
		return nil
	}
	gw := gateway.As4()
	b := append([]byte{32}, gw[:]...)
	b = append(b, 0, 0, 0, 0) // on the link
	b = append(b, 0)          // 0.0.0.0/0
	return append(b, gw[:]...)
}

// fqdn4 encodes name for the client's use: flag E for the wire format, both
// result codes as RFC 4702 section 2.2 has servers set them.
func fqdn4(name string, log *slog.Logger) []byte {
	if name == "" {
		return nil
	}
	const flagE, rcode = 0x04, 0xff
	b, err := packet.AppendName([]byte{flagE, rcode, rcode}, name)
	if err != nil {
		log.Warn("FQDN not sent by DHCP", "err", err)
		return nil
	}
	return b
}

// writer4 writes options, each once and as far as the capacity of b permits.
type writer4 struct {
	values *[256][]byte
	b      []byte
	done   [256]bool
	// typeFirst: the message type comes first in any case.
	typeFirst bool
}

// writeAll writes what the client asked for in its order, the message type
// before, and then the rest in ascending order; all ascending if it did not ask.
// The area ends with an end marker and padding.
func (w *writer4) writeAll(params []byte) []byte {
	if w.typeFirst || params != nil && bytes.IndexByte(params, optMessageType) < 0 {
		w.write(optMessageType)
	}
	for _, code := range params {
		w.write(code)
	}
	for code := optPad + 1; code < optEnd; code++ {
		w.write(byte(code))
	}
	w.b = append(w.b, optEnd, optPad)
	for len(w.b) < minOptions {
		w.b = append(w.b, optPad)
	}
	return w.b
}

// reserved is the space in bytes that other options have to leave: for the end
// and for those yet to come that no reply does without (RFC 2131 table 3).
func (w *writer4) reserved() int {
	n := 2
	for _, code := range []byte{optLease, optMessageType, optServerID} {
		if !w.done[code] {
			n += 2 + len(w.values[code])
		}
	}
	return n
}

// write appends one option if there is such and it fits. Values of more than
// 255 bytes are split (RFC 3396 section 5).
func (w *writer4) write(code byte) {
	value := w.values[code]
	if value == nil || w.done[code] {
		return
	}
	w.done[code] = true
	parts := max(1, (len(value)+maxOptionLen-1)/maxOptionLen)
	if len(w.b)+2*parts+len(value)+w.reserved() > cap(w.b) {
		return
	}
	for range parts {
		n := min(len(value), maxOptionLen)
		w.b = append(append(w.b, code, byte(n)), value[:n]...)
		value = value[n:]
	}
}
