package tap

import (
	"syscall"
	"time"

	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/pcap"
)

// HeaderRoom is how many bytes of IP and transport headers one packet may have.
const HeaderRoom = 128

// ethOff and l3Off are where Ethernet and IP headers start in Link.head.
const (
	ethOff = VnetLen
	l3Off  = VnetLen + packet.EthLen
)

// Link sends packets to the guest and receives the guest's frames, whatever the
// device can do: what it cannot (checksums, segmentation) is done here.
type Link struct {
	dev      Device
	feat     Features
	ourMAC   packet.MAC
	guestMAC packet.MAC
	capture  *pcap.Writer
	head     [l3Off + HeaderRoom]byte
	errRoom  [packet.MaxICMPError]byte
	part     [l3Off + HeaderRoom]byte // head of a fragment
	nextID   uint32                   // of packets that may be cut
	paths    pathMTUs

	// Stats counts what passed and what did not.
	Stats Stats
}

// Stats are event counters of a link since start.
type Stats struct {
	FromGuest, ToGuest           uint64 // frames
	FromGuestBytes, ToGuestBytes uint64 // bytes of frame
	Drops                        [packet.NumDrops]uint64
	SendErrors                   uint64 // frames that the device refused
}

// NewLink makes a link over dev. A zero guestMAC stands for broadcast until the
// guest's first frame.
func NewLink(dev Device, ourMAC, guestMAC packet.MAC) *Link {
	if guestMAC == (packet.MAC{}) {
		guestMAC = packet.Broadcast
	}
	return &Link{dev: dev, feat: dev.Features(), ourMAC: ourMAC, guestMAC: guestMAC}
}

// Capture has every frame that passes in either direction written to w.
func (l *Link) Capture(w *pcap.Writer) { l.capture = w }

// Device is the device below.
func (l *Link) Device() Device { return l.dev }

// OurMAC is the source of our frames.
func (l *Link) OurMAC() packet.MAC { return l.ourMAC }

// GuestMAC is the guest's address as last seen, or broadcast.
func (l *Link) GuestMAC() packet.MAC { return l.guestMAC }

// Drop counts a packet from the guest that is not processed further.
func (l *Link) Drop(d packet.Drop) { l.Stats.Drops[d]++ }

// Recv reads one frame into buf, of RecvLen bytes, and parses it into p, which
// then points into buf. errno is EAGAIN when there are no more. Frames that
// are not valid are counted and have a drop reason. Fragments have DropFragment and
// are not counted yet: they are good for reassembly (Packet.Fragment).
func (l *Link) Recv(buf []byte, p *packet.Packet) (drop packet.Drop, errno syscall.Errno) {
	n, errno := l.dev.Recv(buf)
	if errno != 0 {
		return packet.DropNone, errno
	}
	drop = l.parse(buf[:n], p, n == len(buf))
	if drop != packet.DropNone && drop != packet.DropFragment {
		l.Drop(drop)
	}
	return drop, 0
}

// Reassembled parses frame, whose packet was put together from fragments, as Recv
// does. The virtio-net headers of those said nothing of the whole: its checksum has
// to be right. It is counted if it is dropped, but not as a frame.
func (l *Link) Reassembled(frame []byte, p *packet.Packet) packet.Drop {
	drop := p.Parse(frame)
	if drop == packet.DropNone {
		l.learn(p)
		drop = l.verify(p)
	}
	if drop != packet.DropNone {
		l.Drop(drop)
	}
	return drop
}

func (l *Link) parse(b []byte, p *packet.Packet, cut bool) packet.Drop {
	frame := b
	if l.feat.VnetHdr {
		if len(b) < VnetLen {
			return packet.DropShort
		}
		frame = b[VnetLen:]
	}
	l.Stats.FromGuest++
	l.Stats.FromGuestBytes += uint64(len(frame))
	if l.capture != nil {
		l.captureFrame(nil, frame)
	}
	if cut {
		return packet.DropShort
	}
	d := p.Parse(frame)
	if d == packet.DropChecksum && l.feat.Unsummed && packet.CompleteIPv4(frame[packet.EthLen:]) {
		d = p.Parse(frame)
	}
	if d != packet.DropNone {
		return d
	}
	l.learn(p)
	if p.EtherType == packet.EtherTypeARP {
		return packet.DropNone
	}
	if l.feat.VnetHdr {
		if d := parseVnet(b, p); d != packet.DropNone {
			return d
		}
	}
	return l.verify(p)
}

// learn notes who sent p.
func (l *Link) learn(p *packet.Packet) {
	if p.EthSrc.IsUnicast() {
		l.guestMAC = p.EthSrc
	}
}

// verify checks the transport checksum, unless the guest or its device vouches for it.
func (l *Link) verify(p *packet.Packet) packet.Drop {
	if !p.CsumOK && !p.VerifyL4() && !(l.feat.Unsummed && p.Unsummed()) {
		return packet.DropChecksum
	}
	p.CsumOK = true
	return packet.DropNone
}

func (l *Link) captureFrame(hdr, payload []byte) {
	l.capture.Frame(hdr, payload, time.Now().UnixNano())
}

// Headers is where the caller of Send writes the IP header and, right behind
// it, the transport header.
func (l *Link) Headers() []byte { return l.head[l3Off:] }

// Tx describes a packet given to Send.
type Tx struct {
	// HdrLen counts the bytes of IP and transport header in Headers, IPLen those of the IP header alone.
	HdrLen, IPLen int
	// CsumOff is where the checksum stands in the transport header; the field itself
	// must be zero. The link sees to it.
	CsumOff int
	// GSO with GSOSize cuts payload into packets of GSOSize bytes. The IP
	// header is made for the whole.
	GSO     packet.GSO
	GSOSize int
	// Fragment: the packet may be cut into fragments, here or further on.
	Fragment bool
	// mtu is the longest packet, in bytes, that passes where this one exceeds it;
	// 0: all is well.
	mtu int
}

// Send transmits the packet whose headers the caller wrote to Headers, followed by
// payload, to the guest. EAGAIN and ENOBUFS: the guest's queue is full and nothing
// was sent, or, if super-frames are cut here, only the first sent bytes of payload.
func (l *Link) Send(tx *Tx, payload []byte) (sent int, errno syscall.Errno) {
	one := *tx
	if len(payload) <= tx.GSOSize {
		one.GSO = packet.GSONone
	}
	l.putEthernet()
	if one.Fragment {
		l.fragment(&one, len(payload))
	}
	if one.GSO != packet.GSONone && (one.mtu != 0 || !l.hasGSO(one.GSO)) {
		return l.sendSegments(&one, payload)
	}
	if errno := l.sendOne(&one, payload); errno != 0 {
		return 0, errno
	}
	return len(payload), 0
}

func (l *Link) putEthernet() {
	etherType := uint16(packet.EtherTypeIP4)
	if l.head[l3Off]>>4 == 6 {
		etherType = packet.EtherTypeIP6
	}
	packet.PutEthernet(l.head[ethOff:], l.guestMAC, l.ourMAC, etherType)
}

// TSO tells whether the device moves TCP super-frames of the IP version.
func (l *Link) TSO(v4 bool) bool {
	if v4 {
		return l.feat.TSO4
	}
	return l.feat.TSO6
}

func (l *Link) hasGSO(g packet.GSO) bool {
	switch {
	case g == packet.GSOUDP:
		return l.feat.USO
	default:
		return l.TSO(l.head[l3Off]>>4 == 4)
	}
}

// sendOne transmits one frame or super-frame as the device takes it, or its fragments.
func (l *Link) sendOne(tx *Tx, payload []byte) syscall.Errno {
	v := vnetHeader{v4: l.head[l3Off]>>4 == 4, hdrLen: packet.EthLen + tx.HdrLen}
	cut := tx.mtu != 0 && tx.HdrLen+len(payload) > tx.mtu
	if tx.CsumOff != 0 {
		l.checksum(tx, payload, &v, l.feat.Checksum && !cut)
	}
	if cut {
		return l.sendFragments(tx, payload)
	}
	if tx.GSO != packet.GSONone {
		v.gso, v.gsoSize = tx.GSO, uint16(tx.GSOSize)
	}
	return l.transmit(l.head[:l3Off+tx.HdrLen], payload, &v)
}

// checksum fills in the transport checksum, or if it is to be partial, because the
// device does the rest, just the pseudo-header's part.
func (l *Link) checksum(tx *Tx, payload []byte, v *vnetHeader, partial bool) {
	ip := l.head[l3Off:]
	l4 := ip[tx.IPLen:tx.HdrLen]
	sum := packet.PseudoSum(ip, l.proto(), len(l4)+len(payload))
	if partial {
		v.csumStart, v.csumOff = packet.EthLen+tx.IPLen, tx.CsumOff
	} else {
		sum = ^packet.SumParts(l4, payload, sum)
		if sum == 0 && tx.CsumOff == packet.UDPCsumOff {
			sum = 0xffff // zero means "none" in UDP (RFC 768)
		}
	}
	l4[tx.CsumOff], l4[tx.CsumOff+1] = byte(sum>>8), byte(sum)
}

func (l *Link) proto() uint8 {
	if l.head[l3Off]>>4 == 4 {
		return l.head[l3Off+9]
	}
	return l.head[l3Off+6]
}

// SendPacket transmits a complete IP or ARP packet, checksums included, to the
// station dst. For link services.
func (l *Link) SendPacket(dst packet.MAC, etherType uint16, b []byte) syscall.Errno {
	packet.PutEthernet(l.head[ethOff:], dst, l.ourMAC, etherType)
	v := vnetHeader{hdrLen: packet.EthLen}
	return l.transmit(l.head[:l3Off], b, &v)
}

// SendError transmits the ICMP error m. What it quotes, and where its checksum
// stands, is said as for packet.PutICMPError.
func (l *Link) SendError(m *packet.ICMPError, transport, payload []byte, csumOff int) syscall.Errno {
	n := packet.PutICMPError(l.errRoom[:], m, transport, payload, csumOff)
	return l.SendPacket(l.guestMAC, packet.EtherTypeOf(m.Dst), l.errRoom[:n])
}

// transmit pads short frames, for which head has room, adds the virtio-net header if there is one, and counts.
func (l *Link) transmit(head, payload []byte, v *vnetHeader) syscall.Errno {
	if short := l3Off - packet.EthLen + packet.MinFrameLen - len(head) - len(payload); short > 0 {
		head = head[:len(head)+len(payload)+short]
		pad := head[len(head)-short-len(payload):]
		copy(pad, payload)
		clear(pad[len(payload):])
		payload = nil
	}
	frame := head[ethOff:]
	if l.feat.VnetHdr {
		v.put(head)
	} else {
		head = frame
	}
	if errno := l.dev.Send(head, payload); errno != 0 {
		l.Stats.SendErrors++
		return errno
	}
	l.Stats.ToGuest++
	l.Stats.ToGuestBytes += uint64(len(frame) + len(payload))
	if l.capture != nil {
		l.captureFrame(frame, payload)
	}
	return 0
}
