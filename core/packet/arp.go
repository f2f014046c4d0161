package packet

import "encoding/binary"

// ARP constants for IPv4 over Ethernet (RFC 826; numbers from RFC 5494).
const (
	ARPLen     = 28 // bytes of a packet
	ARPRequest = 1
	ARPReply   = 2
)

// arpIPv4 is how every ARP packet for IPv4 over Ethernet starts: hardware type
// 1, protocol type 0x0800, address lengths 6 and 4.
const arpIPv4 = 0x0001_0800_0604

// ARP is a view of an ARP packet for IPv4 over Ethernet:
//
//	htype u16 | ptype u16 | hlen u8 | plen u8 | op u16 | sha 6 | spa 4 | tha 6 | tpa 4
type ARP []byte

// ParseARP checks the length and kind of b, what follows an Ethernet header of
// type EtherTypeARP; padding is cut off.
func ParseARP(b []byte) (ARP, bool) {
	if len(b) < ARPLen || binary.BigEndian.Uint64(b)>>16 != arpIPv4 {
		return nil, false
	}
	return ARP(b[:ARPLen:ARPLen]), true
}

// Op is the operation: ARPRequest, ARPReply or another.
func (a ARP) Op() uint16 { return binary.BigEndian.Uint16(a[6:]) }

// SenderMAC is the sender's hardware address.
func (a ARP) SenderMAC() MAC { return MAC(a[8:14]) }

// SenderIP is the sender's IPv4 address; 0.0.0.0 in a probe (RFC 5227).
func (a ARP) SenderIP() Addr { return AddrFrom4([4]byte(a[14:18])) }

// TargetMAC is the target's hardware address; meaningless in requests.
func (a ARP) TargetMAC() MAC { return MAC(a[18:24]) }

// TargetIP is the IPv4 address that is asked for.
func (a ARP) TargetIP() Addr { return AddrFrom4([4]byte(a[24:28])) }

// ARPHeader says what PutARP writes. SenderIP and TargetIP are IPv4 addresses.
type ARPHeader struct {
	Op        uint16
	SenderMAC MAC
	SenderIP  Addr
	TargetMAC MAC
	TargetIP  Addr
}

// PutARP writes an ARP packet to b[:ARPLen] and returns its length.
func PutARP(b []byte, h *ARPHeader) int {
	_ = b[ARPLen-1]
	binary.BigEndian.PutUint64(b, arpIPv4<<16|uint64(h.Op))
	copy(b[8:], h.SenderMAC[:])
	copy(b[14:], h.SenderIP[12:])
	copy(b[18:], h.TargetMAC[:])
	copy(b[24:], h.TargetIP[12:])
	return ARPLen
}
