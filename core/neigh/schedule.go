package neigh

import (
	"time"

	"github.com/pasta-net/pasta/core/packet"
)

// Router constants of RFC 4861 sections 6.2.1 and 10, in nanoseconds.
const (
	maxRAInterval = int64(600 * time.Second) // MaxRtrAdvInterval
	minRAInterval = int64(200 * time.Second) // MinRtrAdvInterval, a third of it
	minRADelay    = int64(3 * time.Second)   // MIN_DELAY_BETWEEN_RAS
)

// neverSent is a time of the last advertisement that delays no other.
const neverSent = -minRADelay

// NextDeadline is when Expire wants to be called, in loop nanoseconds;
// loop.NoDeadline if never.
func (h *Handler) NextDeadline() int64 { return h.nextRA }

// Expire sends the advertisement that is due at loop time now, if one is, and
// schedules the next.
func (h *Handler) Expire(now int64) {
	if now < h.nextRA || h.ra == nil {
		return
	}
	h.sendRA(packet.AllNodesMAC, packet.AllNodes)
	h.lastRA = now
	h.scheduleRA(now)
}

// scheduleRA sets the next unsolicited advertisement a random interval after now
// (RFC 4861 section 6.2.4). There is no burst of initial ones: guests that
// start solicit.
func (h *Handler) scheduleRA(now int64) {
	h.nextRA = now + minRAInterval + h.random(maxRAInterval-minRAInterval+1)
}

// answerRouterSolicit sends an advertisement to the guest. A guest without an
// address yet gets the next unsolicited one, moved up as far as the limit on
// multicast advertisements allows (RFC 4861 section 6.2.6).
func (h *Handler) answerRouterSolicit(p *packet.Packet, now int64) {
	if h.ra == nil {
		return
	}
	if p.Src.IsUnspecified() {
		h.nextRA = min(h.nextRA, max(now, h.lastRA+minRADelay))
		return
	}
	h.debug("router advertisement", p.Src)
	h.sendRA(h.link.GuestMAC(), p.Src)
}

// sendRA leaves a refusal by the device to the link's counters.
func (h *Handler) sendRA(mac packet.MAC, dst packet.Addr) {
	const dstOff = 24 // of the destination in an IPv6 header
	copy(h.ra[dstOff:packet.IPv6Len], dst[:])
	packet.SetICMPChecksum(h.ra, packet.IPv6Len)
	_ = h.link.SendPacket(mac, packet.EtherTypeIP6, h.ra)
}
