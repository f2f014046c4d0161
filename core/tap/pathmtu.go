package tap

import (
	"time"

	"github.com/pasta-net/pasta/core/packet"
)

// pathAge is how long the MTU of a path is remembered (RFC 8201 section 4), in
// nanoseconds.
const pathAge = int64(10 * time.Minute)

// pathMTUs are the longest packets, in bytes, that pass on the way to some addresses of
// the guest's, which forwards to where less passes than to itself.
type pathMTUs struct {
	list [8]pathMTU
	n    int // in use
}

type pathMTU struct {
	dst   packet.Addr
	mtu   uint16
	until int64 // loop time
}

// LearnMTU notes at loop time now that the guest found packets to dst longer than mtu,
// in bytes, too big for where it forwards them to. From then on they are cut here.
func (l *Link) LearnMTU(dst packet.Addr, mtu uint16, now int64) {
	p := &l.paths
	at := p.find(dst)
	if at == p.n {
		if p.n == len(p.list) {
			copy(p.list[:], p.list[1:]) // forgets what was learnt first
			p.n--
		}
		at = p.n
		p.n++
	}
	p.list[at] = pathMTU{dst: dst, mtu: mtu, until: now + pathAge}
}

// ForgetMTUs forgets what LearnMTU noted long before loop time now: the way may have
// changed.
func (l *Link) ForgetMTUs(now int64) {
	p := &l.paths
	for i := p.n - 1; i >= 0; i-- {
		if p.list[i].until <= now {
			copy(p.list[i:], p.list[i+1:p.n])
			p.n--
		}
	}
}

// find is the index of dst, or p.n.
func (p *pathMTUs) find(dst packet.Addr) int {
	for i := range p.n {
		if p.list[i].dst == dst {
			return i
		}
	}
	return p.n
}

// mtu is the longest packet that passes to the destination of the one in l.head; 0: any.
func (l *Link) mtu() int {
	mtu := l.feat.MTU
	if l.paths.n == 0 {
		return mtu
	}
	if i := l.paths.find(packet.Destination(l.head[l3Off:])); i < l.paths.n {
		if path := int(l.paths.list[i].mtu); mtu == 0 || path < mtu {
			return path
		}
	}
	return mtu
}
