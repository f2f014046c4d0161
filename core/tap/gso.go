package tap

import (
	"encoding/binary"
	"syscall"

	"github.com/pasta-net/pasta/core/packet"
)

// Offsets in a TCP header that differ from segment to segment.
const (
	tcpSeqOff   = 4
	tcpFlagsOff = 13
	udpLenOff   = 4
)

// sendSegments cuts a super-frame in software, for devices without the offload.
// It stops at the first segment that the device refuses.
func (l *Link) sendSegments(tx *Tx, payload []byte) (sent int, errno syscall.Errno) {
	l4 := l.head[l3Off+tx.IPLen:]
	seq := binary.BigEndian.Uint32(l4[tcpSeqOff:])
	flags := l4[tcpFlagsOff]
	one := *tx
	one.GSO = packet.GSONone
	for sent < len(payload) {
		seg := payload[sent:min(sent+tx.GSOSize, len(payload))]
		last := sent+len(seg) == len(payload)
		if sent > 0 {
			packet.NextID(l.head[l3Off:])
		}
		packet.SetIPPayloadLen(l.head[l3Off:], tx.HdrLen-tx.IPLen+len(seg))
		l4[tx.CsumOff], l4[tx.CsumOff+1] = 0, 0
		if tx.GSO == packet.GSOTCP {
			binary.BigEndian.PutUint32(l4[tcpSeqOff:], seq+uint32(sent))
			l4[tcpFlagsOff] = segmentFlags(flags, last)
		} else {
			binary.BigEndian.PutUint16(l4[udpLenOff:], uint16(packet.UDPLen+len(seg)))
		}
		if errno := l.sendOne(&one, seg); errno != 0 {
			return sent, errno
		}
		sent += len(seg)
	}
	return sent, 0
}

// segmentFlags leaves PSH and FIN to the last segment, as hardware does.
func segmentFlags(flags uint8, last bool) uint8 {
	if last {
		return flags
	}
	return flags &^ (packet.PSH | packet.FIN)
}
