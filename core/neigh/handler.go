// Package neigh answers the guest's ARP and Neighbor Discovery as if the whole
// world were on its link: every address but the guest's own has our MAC, unless
// Stations say otherwise. For IPv6 it is also the guest's router and sends
// advertisements.
//
// Everything is owned by the event loop goroutine; nothing allocates after New.
//
// Import level: above config, below engine.
package neigh

import (
	"log/slog"
	"math/rand/v2"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/tap"
)

// Stations tells who is on the link, where that is not all the world.
type Stations interface {
	// MAC is the station that has address a; ok is false if none has.
	MAC(a packet.Addr) (mac packet.MAC, ok bool)
}

// Handler serves ARP and Neighbor Discovery on one link.
type Handler struct {
	cfg  *config.Config
	link *tap.Link
	log  *slog.Logger
	// stations are asked for the MAC of an address; nil: it is ours.
	stations Stations

	// Our link-local address, and what the guest is assigned and we use for IPv4.
	linkLocal, guest4, guest6, our4 packet.Addr

	// ra is the advertisement as a complete packet, all but destination and
	// checksum; nil if none is ever sent.
	ra []byte
	// nextRA is when the next unsolicited advertisement is due, lastRA when
	// the last one went out, in loop nanoseconds.
	nextRA, lastRA int64
	// random gives a number from 0 to below n; tests replace it.
	random func(n int64) int64

	// buf holds the packet being built: IPv6 header and neighbor message, or ARP.
	buf [packet.IPv6Len + packet.NDNeighborLen + packet.NDLinkOptLen]byte
}

// New makes a handler for link. Where stations is nil, every address but the
// guest's own is answered for with our MAC. Search domains that cannot be encoded
// are left out with a warning.
func New(cfg *config.Config, link *tap.Link, stations Stations, log *slog.Logger) *Handler {
	h := &Handler{
		cfg: cfg, link: link, log: log, stations: stations,
		linkLocal: packet.AddrFrom(cfg.OurLinkLocal),
		guest4:    packet.AddrFrom(cfg.V4.Guest),
		guest6:    packet.AddrFrom(cfg.V6.Guest),
		our4:      packet.AddrFrom(cfg.V4.Our),
		nextRA:    loop.NoDeadline,
		lastRA:    neverSent,
		random:    rand.Int64N,
	}
	if h.servesNDP() && cfg.Link.RA && !cfg.Link.Quiet {
		h.ra = h.buildRA()
	}
	return h
}

func (h *Handler) servesNDP() bool { return h.cfg.V6.Enabled && h.cfg.Link.NDP }

// FromTap takes a packet from the guest at loop time now. handled is false if it
// is neither ARP nor Neighbor Discovery.
func (h *Handler) FromTap(p *packet.Packet, now int64) (handled bool) {
	if p.EtherType == packet.EtherTypeARP {
		h.arpFromTap(p)
		return true
	}
	if p.Proto != packet.ProtoICMPv6 || len(p.L4) == 0 ||
		p.L4[0] < packet.ICMPv6RouterSolicit || p.L4[0] > packet.ICMPv6Redirect {
		return false
	}
	h.ndpFromTap(p, now)
	return true
}

// Start asks the guest for the MAC of its assigned addresses, one packet per
// family, and begins the schedule of advertisements.
func (h *Handler) Start(now int64) {
	if h.cfg.Link.Quiet {
		return
	}
	if h.cfg.V4.Enabled && !h.guest4.IsZero() && !h.our4.IsZero() {
		h.requestARP()
	}
	if h.servesNDP() && !h.guest6.IsZero() {
		h.solicit()
	}
	if h.ra != nil {
		h.scheduleRA(now)
	}
}

// macOf is the MAC to answer with for address a; ok is false if there is no answer.
func (h *Handler) macOf(a packet.Addr) (mac packet.MAC, ok bool) {
	if h.stations == nil {
		return h.link.OurMAC(), true
	}
	return h.stations.MAC(a)
}
