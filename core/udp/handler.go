package udp

import (
	"log/slog"
	"time"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/hostsock"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/core/tap"
)

const (
	// maxFlows bounds the flow table; descriptors usually run out earlier.
	maxFlows = 1 << 16
	// maxPending bounds what FromTap keeps until Flush, in packets.
	maxPending = 256
	// recvSlots and recvLen size one recvmmsg: the second is the largest that
	// UDP_GRO gives, rounded up.
	recvSlots = 64
	recvLen   = 1 << 16
	// errSlots bounds how many errors one event takes from a socket.
	errSlots = 8
	errLen   = 2048
	// maxExpire bounds how many flows of each class one call of Expire ends.
	maxExpire = 256
	// recvRounds bounds how many recvmmsg one event is worth, so that a busy flow
	// leaves others their turn.
	recvRounds = 2

	defaultTimeout       = 30 * time.Second
	defaultStreamTimeout = 120 * time.Second
)

// Stats are event counters since start.
type Stats struct {
	// Flows counts flows made, Recycled those ended early to make room.
	Flows, Recycled uint64
	// ToHost and ToGuest count datagrams, Sends and Receives the system calls
	// that moved them, Frames the frames and super-frames written to the tap.
	ToHost, ToGuest         uint64
	Sends, Receives, Frames uint64
	// HostErrors counts errors passed to the guest, GuestErrors those from it.
	HostErrors, GuestErrors uint64
	// HostDrops counts datagrams from the host that went nowhere; those from the
	// guest are counted by the link.
	HostDrops [packet.NumDrops]uint64
}

// Handler translates UDP for one guest.
type Handler struct {
	cfg  *config.Config
	nat  *fwd.Map
	link *tap.Link
	lp   *loop.Loop

	binder    hostsock.Binder
	share     hostsock.Share
	table     *flow.Table
	hostSide  *flow.Table // see hostKey
	uses      *flow.Recency
	flows     []state // by slot of table
	recent    uint32  // slot of the last datagram from the guest, or flow.None
	listeners flow.Slots[listener]
	splice    [fwd.NumPifs]Splicer // by pif of the listener
	ttl       [2]uint8             // the host's TTL and hop limit

	pending []datagram // until Flush
	dirty   []uint32   // slots that have something pending
	out     *sys.SendBatch
	runs    []run          // the messages in out
	single  *sys.SendBatch // for what the kernel does not cut
	in      *sys.RecvBatch
	inErr   *sys.RecvBatch
	gather  gather
	paced   []pacedSocket // read at intervals, next at pollAt
	pollAt  int64

	// Stats is for reading between events.
	Stats Stats
}

// New makes a handler; its listeners come by AddListener.
func New(cfg *config.Config, nat *fwd.Map, link *tap.Link, lp *loop.Loop, log *slog.Logger) *Handler {
	h := &Handler{
		cfg: cfg, nat: nat, link: link, lp: lp,
		binder:   hostsock.NewBinder(nat, log, "UDP"),
		share:    hostsock.NewShare(hostsock.UDP),
		table:    flow.NewTable(maxFlows),
		hostSide: flow.NewTable(maxFlows),
		uses:     newUses(cfg, maxFlows),
		recent:   flow.None,
		pending:  make([]datagram, 0, maxPending),
		dirty:    make([]uint32, 0, maxPending),
		out:      sys.NewSendBatch(maxPending, maxPending),
		runs:     make([]run, 0, maxPending),
		single:   sys.NewSendBatch(maxSegments, maxSegments),
		in:       sys.NewRecvBatch(recvSlots, recvLen),
		inErr:    sys.NewRecvBatch(errSlots, errLen),
	}
	h.flows = sys.Slab[state](h, maxFlows)
	h.gather.init()
	h.paced, h.pollAt = make([]pacedSocket, 0, maxPaced), loop.NoDeadline
	h.ttl = hostTTLs()
	return h
}

// newUses makes the order of so many flows.
func newUses(cfg *config.Config, slots int) *flow.Recency {
	var timeouts [numClasses]time.Duration
	for _, class := range [...]int{flow.Unanswered, strangers} {
		timeouts[class] = orDefault(cfg.Timeouts.UDP, defaultTimeout)
	}
	for _, class := range [...]int{flow.Answered, known} {
		timeouts[class] = orDefault(cfg.Timeouts.UDPStream, defaultStreamTimeout)
	}
	return flow.NewRecency(slots, timeouts[:]...)
}

func orDefault(d, def time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return def
}

// NextDeadline is when Expire is due on the loop's clock, or loop.NoDeadline.
func (h *Handler) NextDeadline() int64 {
	return min(h.uses.NextOr(loop.NoDeadline), h.pollAt)
}

// Expire reads the sockets that are read at intervals, and ends flows that were
// idle for too long. What exceeds the bound of one call is still due afterwards.
func (h *Handler) Expire(now int64) {
	if h.pollAt <= now {
		h.poll(now)
	}
	h.uses.Expire(now, maxExpire, h.close)
}

// Len is the number of flows.
func (h *Handler) Len() int { return h.table.Len() }

// Close ends all flows and closes all sockets, listeners included.
func (h *Handler) Close() {
	h.table.All(h.close)
	h.listeners.All(func(i uint32, fd int) {
		h.listeners.Remove(i)
		sys.Close(fd)
	})
}
