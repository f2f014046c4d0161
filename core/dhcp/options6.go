package dhcp

import (
	"encoding/binary"
	"log/slog"
	"math"

	"github.com/pasta-net/pasta/core/packet"
)

// Status code NotOnLink and the text that goes with it (RFC 8415 section 21.13).
const (
	statusNotOnLink = 4
	textNotOnLink   = "Prefix not appropriate for link."
	statusLen       = optHeader6 + 2 + len(textNotOnLink) // bytes of the option
)

// maxTail6 is the space that headers and the other options leave, in bytes.
const maxTail6 = maxDatagram6 - packet.IPv6Len - packet.UDPLen - header6 -
	(optHeader6 + 14) - (optHeader6 + iaNALen + optHeader6 + iaAddrLen) - (optHeader6 + maxClientID)

// appendOption6 appends the header of an option.
func appendOption6(b []byte, code uint16, bodyLen int) []byte {
	return binary.BigEndian.AppendUint32(b, uint32(code)<<16|uint32(bodyLen))
}

// appendLease6 gives the guest's address to the client's first IA_NA, if it has
// one, for ever (RFC 8415 sections 21.4 and 21.6).
func (s *Server) appendLease6(b, iaid []byte) []byte {
	if iaid == nil {
		return b
	}
	b = appendOption6(b, opt6IANA, iaNALen+optHeader6+iaAddrLen)
	b = append(b, iaid...)
	b = binary.BigEndian.AppendUint32(b, math.MaxUint32) // T1
	b = binary.BigEndian.AppendUint32(b, math.MaxUint32) // T2
	b = appendOption6(b, opt6IAAddr, iaAddrLen)
	b = append(b, s.guest6[:]...)
	b = binary.BigEndian.AppendUint32(b, math.MaxUint32)    // preferred lifetime
	return binary.BigEndian.AppendUint32(b, math.MaxUint32) // valid lifetime
}

// appendRefusal6 says NotOnLink for the association with a foreign address (RFC
// 8415 section 18.3.2) and, in answer to CONFIRM, for the whole message
// (section 18.3.3).
func appendRefusal6(b []byte, r *request6) []byte {
	headerLen := iaNALen
	if r.foreign.code == opt6IATA {
		headerLen = iaTALen
	}
	b = appendOption6(b, r.foreign.code, headerLen+statusLen)
	b = append(b, r.foreign.iaid...)
	b = append(b, make([]byte, headerLen-len(r.foreign.iaid))...) // T1, T2: ours to leave open
	b = appendStatus6(b)
	if r.msgType == typeConfirm {
		b = appendStatus6(b)
	}
	return b
}

func appendStatus6(b []byte) []byte {
	b = appendOption6(b, opt6Status, statusLen-optHeader6)
	b = binary.BigEndian.AppendUint16(b, statusNotOnLink)
	return append(b, textNotOnLink...)
}

// encodeTail6 encodes the options that end every positive reply: resolvers, search
// list and name. Search domains that make a reply too long are left out.
func (s *Server) encodeTail6(log *slog.Logger) []byte {
	var b []byte
	link := &s.cfg.Link
	if dns := s.cfg.V6.DNS; link.SendDNS && len(dns) > 0 {
		b = appendOption6(b, opt6DNS, 16*len(dns))
		for _, a := range dns {
			addr := packet.AddrFrom(a)
			b = append(b, addr[:]...)
		}
	}
	fqdn := fqdn6(link.FQDN, log)
	if link.SendSearch {
		b = appendSearch6(b, link.Search, maxTail6-len(fqdn), log)
	}
	return append(b, fqdn...)
}

// appendSearch6 appends the search list, as far as b stays within limit bytes.
// Names are not compressed (RFC 8415 section 10).
func appendSearch6(b []byte, names []string, limit int, log *slog.Logger) []byte {
	var list []byte
	for _, name := range validNames(names, log) {
		longer, _ := packet.AppendName(list, name) // valid
		if len(b)+optHeader6+len(longer) > limit {
			log.Warn("search domain not sent by DHCPv6: list too long", "name", name)
			continue
		}
		list = longer
	}
	if len(list) == 0 {
		return b
	}
	return append(appendOption6(b, opt6Search, len(list)), list...)
}

// fqdn6 encodes the whole FQDN option (RFC 4704 section 4); no flag, as we update
// no DNS.
func fqdn6(name string, log *slog.Logger) []byte {
	if name == "" {
		return nil
	}
	wire, err := packet.AppendName([]byte{0}, name)
	if err != nil {
		log.Warn("FQDN not sent by DHCPv6", "err", err)
		return nil
	}
	return append(appendOption6(nil, opt6FQDN, len(wire)), wire...)
}
