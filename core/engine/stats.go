package engine

import (
	"fmt"
	"strings"
	"time"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/packet"
)

// reporter logs event counters, at most every so often and only after events, so
// that an idle run stays asleep.
type reporter struct {
	every int64  // nanoseconds; 0: never
	next  int64  // when the next report is due, loop.NoDeadline if nothing happened
	seen  uint64 // frames counted at the last report
}

func newReporter(every time.Duration) reporter {
	return reporter{every: int64(every), next: loop.NoDeadline}
}

// report logs the counters if that is due. The engine calls it once per turn.
func (e *Engine) report(now int64) {
	r := &e.reporter
	if r.every == 0 {
		return
	}
	if frames := e.link.Stats.FromGuest + e.link.Stats.ToGuest; frames != r.seen && r.next == loop.NoDeadline {
		r.next = now + r.every
	}
	if now < r.next {
		return
	}
	r.next = loop.NoDeadline
	r.seen = e.link.Stats.FromGuest + e.link.Stats.ToGuest
	for _, line := range e.counters() {
		e.log.Warn(line) // the user asked for it; a command must not silence it
	}
}

// counters are the lines of one report.
func (e *Engine) counters() []string {
	l, t, u, i, s := &e.link.Stats, &e.tcp.Stats, &e.udp.Stats, &e.icmp.Stats, &e.splice.Stats
	r := &e.reasm.Stats
	lines := []string{
		fmt.Sprintf("Frames: %d from guest (%d bytes), %d to guest (%d bytes), %d refused by the tap",
			l.FromGuest, l.FromGuestBytes, l.ToGuest, l.ToGuestBytes, l.SendErrors),
		fmt.Sprintf("Fragments: %d from guest, %d packets made of them, %d given up as overlapping, %d as incomplete, %d for others",
			r.Fragments, r.Packets, r.Conflicts, r.Timeouts, r.Displaced),
		fmt.Sprintf("TCP: %d flows now, %d outbound and %d inbound opened, %d reset by guest, %d by host, %d segments sent again",
			e.tcp.Len(), t.OutboundOpened, t.InboundOpened, t.ResetByGuest, t.ResetByHost, t.Retransmits),
		fmt.Sprintf("TCP from guest: %d bytes held for slow peers, %d bytes refused, %d segments beyond a gap, %d challenge ACKs",
			t.Held, t.Dropped, t.OutOfOrder, t.ChallengeAcks),
		fmt.Sprintf("UDP: %d flows now, %d opened, %d recycled, %d datagrams to host, %d to guest, %d errors to guest, %d from guest",
			e.udp.Len(), u.Flows, u.Recycled, u.ToHost, u.ToGuest, u.HostErrors, u.GuestErrors),
		fmt.Sprintf("ICMP: %d flows now, %d opened, %d recycled, %d requests, %d replies, %d errors to guest",
			e.icmp.Len(), i.Flows, i.Recycled, i.Requests, i.Replies, i.HostErrors),
		fmt.Sprintf("Bypass, TCP: %d flows now, %d opened, %d refused, %d reset, %d bytes",
			e.splice.Len(), s.Opened, s.Refused, s.Reset, s.Bytes),
		e.udpBypass(fwd.Host), e.udpBypass(fwd.Splice),
		"Dropped from guest: " + drops(&l.Drops),
		"Dropped from host, UDP: " + drops(&u.HostDrops),
		"Dropped from host, ICMP: " + drops(&i.HostDrops),
	}
	if e.capture != nil {
		lines = append(lines, fmt.Sprintf("Capture: %d frames lost", e.capture.Lost))
	}
	return lines
}

// udpBypass is the line about datagrams past the tap from clients on pif.
func (e *Engine) udpBypass(pif fwd.Pif) string {
	h := e.spliceUDP[pif]
	return fmt.Sprintf("Bypass, UDP of %s: %d flows now, %d opened, %d recycled, %d datagrams to targets, %d to clients, %d dropped, %d refused",
		pif, h.Len(), h.Stats.Flows, h.Stats.Recycled, h.Stats.ToTarget, h.Stats.ToClient, h.Stats.Dropped, h.Stats.Refused)
}

// drops lists the reasons that occurred.
func drops(counts *[packet.NumDrops]uint64) string {
	var parts []string
	for reason, n := range counts {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", packet.Drop(reason), n))
		}
	}
	if parts == nil {
		return "none"
	}
	return strings.Join(parts, ", ")
}
