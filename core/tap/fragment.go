package tap

import (
	"syscall"

	"github.com/pasta-net/pasta/core/packet"
)

// uncut is the length in bytes of packets that pass everywhere, as far as links are
// fit for IPv6. They need no identification, of which there are few.
const uncut = packet.MinMTU6

// fragment prepares a packet that may be cut, or a super-frame of such. In IPv4 a guest
// that forwards it to where less passes may do so too: nobody could tell the sender
// to, whose datagrams we have from a socket.
func (l *Link) fragment(tx *Tx, payloadLen int) {
	packets, longest := 1, tx.HdrLen+payloadLen
	if tx.GSO != packet.GSONone {
		packets, longest = (payloadLen+tx.GSOSize-1)/tx.GSOSize, tx.HdrLen+tx.GSOSize
	}
	mtu := l.mtu()
	if mtu != 0 && longest > mtu {
		tx.mtu = mtu
	}
	if l.head[l3Off]>>4 == 4 && (longest > uncut || tx.mtu != 0) {
		packet.AllowFragments(l.head[l3Off:], uint16(l.nextID))
		l.nextID += uint32(packets)
	}
}

// sendFragments transmits the packet in l.head, with its checksum complete, and payload
// as fragments of at most tx.mtu bytes. It stops at the first one that the device
// refuses: the packet is lost.
func (l *Link) sendFragments(tx *Tx, payload []byte) syscall.Errno {
	l4 := l.head[l3Off+tx.IPLen : l3Off+tx.HdrLen]
	copy(l.part[ethOff:], l.head[ethOff:l3Off+tx.IPLen])
	f := packet.Fragment{ID: l.fragmentID(), Proto: l.proto(), More: true}
	for room := packet.FragmentRoom(tx.mtu, tx.IPLen); f.More; {
		dataLen := min(len(l4)+len(payload), room)
		f.More = dataLen < len(l4)+len(payload)
		headLen := l3Off + packet.PutFragment(l.part[l3Off:], &f, dataLen)
		headLen += copy(l.part[headLen:], l4)
		n := dataLen - len(l4)
		v := vnetHeader{hdrLen: headLen - VnetLen}
		if errno := l.transmit(l.part[:headLen], payload[:n], &v); errno != 0 {
			return errno
		}
		f.Offset += dataLen
		l4, payload = nil, payload[n:]
	}
	return 0
}

// fragmentID is the identification of the packet in l.head. In IPv4 it has one
// already, in IPv6 it needs one only now.
func (l *Link) fragmentID() uint32 {
	if ip := l.head[l3Off:]; ip[0]>>4 == 4 {
		return uint32(ip[4])<<8 | uint32(ip[5])
	}
	l.nextID++
	return l.nextID
}
