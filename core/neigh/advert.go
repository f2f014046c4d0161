package neigh

import (
	"cmp"
	"encoding/binary"
	"math"
	"net/netip"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/packet"
)

const (
	raManaged   = 0x80           // addresses come by DHCPv6
	raOnLinkAut = 0x80 | 0x40    // prefix flags L and A: on-link, autonomous
	raLifetime  = math.MaxUint16 // seconds of a default router (RFC 8319)
	forever     = math.MaxUint32 // seconds, in options

	prefixOptLen  = 32
	mtuOptLen     = 8
	listOptHeader = 8 // of RDNSS and DNSSL: type, length, reserved, lifetime

	// maxRALen keeps advertisements within the MTU of any IPv6 link (RFC 8200
	// section 5).
	maxRALen = 1280
)

// buildRA makes the Router Advertisement of RFC 4861 section 4.2 as a complete
// packet to ::, to be sent by sendRA.
func (h *Handler) buildRA() []byte {
	b := make([]byte, packet.IPv6Len+packet.NDRouterAdvertLen, maxRALen)
	m := b[packet.IPv6Len:]
	a := h.advert()
	flags := uint32(raManaged)
	if h.cfg.Link.Advert.Prefix.IsValid() {
		flags = 0
	}
	packet.PutICMP(m, packet.ICMPv6RouterAdvert, 0, packet.DefaultTTL<<24|flags<<16|uint32(a.RouterSec))
	// Reachable time and retransmission timer stay 0: unspecified.
	b = appendPrefix(b, &a)
	b = h.appendLink(b)
	b = h.appendMTU(b)
	b = h.appendRDNSS(b)
	b = h.appendDNSSL(b)
	packet.PutIP(b, &packet.IPHeader{
		Src: h.linkLocal, Proto: packet.ProtoICMPv6, TTL: packet.DefaultTTL,
		PayloadLen: len(b) - packet.IPv6Len,
	})
	return b
}

// advert is the configuration's with the usual in place of zero fields. Without an
// address to assign there is no usual prefix.
func (h *Handler) advert() config.Advert {
	a := h.cfg.Link.Advert
	if !a.Prefix.IsValid() && !h.guest6.IsZero() {
		a.Prefix = netip.PrefixFrom(h.cfg.V6.Guest, 64)
	}
	a.RouterSec = cmp.Or(a.RouterSec, raLifetime)
	a.ValidSec, a.PreferredSec = cmp.Or(a.ValidSec, forever), cmp.Or(a.PreferredSec, forever)
	return a
}

// appendPrefix adds a Prefix Information option (RFC 4861 section 4.6.2), if there is
// a prefix. Bits beyond its length are the receiver's to ignore.
func appendPrefix(b []byte, a *config.Advert) []byte {
	if !a.Prefix.IsValid() {
		return b
	}
	b = append(b, packet.NDOptPrefix, prefixOptLen/8, byte(a.Prefix.Bits()), raOnLinkAut)
	b = binary.BigEndian.AppendUint32(b, a.ValidSec)
	b = binary.BigEndian.AppendUint32(b, a.PreferredSec)
	b = binary.BigEndian.AppendUint32(b, 0)
	addr := packet.AddrFrom(a.Prefix.Addr())
	return append(b, addr[:]...)
}

func (h *Handler) appendLink(b []byte) []byte {
	n := len(b)
	b = b[:n+packet.NDLinkOptLen]
	packet.PutNDLink(b[n:], packet.NDOptSourceLink, h.link.OurMAC())
	return b
}

// appendMTU adds an MTU option (RFC 4861 section 4.6.4).
func (h *Handler) appendMTU(b []byte) []byte {
	if h.cfg.MTU == 0 {
		return b
	}
	b = append(b, packet.NDOptMTU, mtuOptLen/8, 0, 0)
	return binary.BigEndian.AppendUint32(b, uint32(h.cfg.MTU))
}

// appendRDNSS adds the resolvers (RFC 8106 section 5.1).
func (h *Handler) appendRDNSS(b []byte) []byte {
	servers := h.cfg.V6.DNS
	if !h.cfg.Link.SendDNS || len(servers) == 0 {
		return b
	}
	b = appendListHeader(b, packet.NDOptRDNSS, 16*len(servers))
	for _, s := range servers {
		a := packet.AddrFrom(s)
		b = append(b, a[:]...)
	}
	return b
}

// appendDNSSL adds the search list (RFC 8106 section 5.2), which does not depend
// on RDNSS. Names that make the advertisement too long are left out.
func (h *Handler) appendDNSSL(b []byte) []byte {
	if !h.cfg.Link.SendSearch {
		return b
	}
	list := make([]byte, 0, maxRALen)
	for _, name := range h.cfg.Link.Search {
		longer, err := packet.AppendName(list, name)
		if err != nil {
			h.log.Warn("search domain not advertised", "err", err)
			continue
		}
		if len(b)+listOptHeader+pad8(len(longer)) > maxRALen {
			h.log.Warn("search domain not advertised: list too long", "name", name)
			continue
		}
		list = longer
	}
	if len(list) == 0 {
		return b
	}
	b = appendListHeader(b, packet.NDOptDNSSL, pad8(len(list)))
	b = append(b, list...)
	return append(b, make([]byte, pad8(len(list))-len(list))...)
}

// appendListHeader starts an RDNSS or DNSSL option that lasts for ever and has
// bodyLen bytes of list, a multiple of 8.
func appendListHeader(b []byte, typ uint8, bodyLen int) []byte {
	b = append(b, typ, uint8((listOptHeader+bodyLen)/8), 0, 0)
	return binary.BigEndian.AppendUint32(b, forever)
}

func pad8(n int) int { return (n + 7) &^ 7 }
