package icmp

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
	// maxFlows bounds the flow table.
	maxFlows = 1 << 12
	// recvSlots and recvLen size one recvmmsg; the second holds any message.
	recvSlots = 8
	recvLen   = 1 << 16
	// maxExpire bounds how many flows of each class one call of Expire ends.
	maxExpire = 256

	defaultTimeout = 60 * time.Second
)

// Stats are event counters since start.
type Stats struct {
	// Flows counts flows made, Recycled those ended early to make room, Requests and Replies echo messages passed on,
	// HostErrors the errors passed to the guest.
	Flows, Recycled, Requests, Replies, HostErrors uint64
	// HostDrops counts messages from the host that went nowhere; those from
	// the guest are counted by the link.
	HostDrops [packet.NumDrops]uint64
}

// Handler translates echo for one guest.
type Handler struct {
	cfg  *config.Config
	nat  *fwd.Map
	link *tap.Link
	lp   *loop.Loop
	log  *slog.Logger

	binder hostsock.Binder
	share  hostsock.Share
	table  *flow.Table
	uses   *flow.Recency
	flows  []state // by slot of table
	in     *sys.RecvBatch
	warned bool // that ping sockets are forbidden

	// Stats is for reading between events.
	Stats Stats
}

// New makes a handler. Sockets are opened with the first request of a flow.
func New(cfg *config.Config, nat *fwd.Map, link *tap.Link, lp *loop.Loop, log *slog.Logger) *Handler {
	idle := cfg.Timeouts.ICMP
	if idle <= 0 {
		idle = defaultTimeout
	}
	h := &Handler{
		cfg: cfg, nat: nat, link: link, lp: lp, log: log,
		binder: hostsock.NewBinder(nat, log, "ICMP"),
		share:  hostsock.NewShare(hostsock.Echo),
		table:  flow.NewTable(maxFlows),
		uses:   flow.NewRecency(maxFlows, idle, idle),
		in:     sys.NewRecvBatch(recvSlots, recvLen),
	}
	h.flows = sys.Slab[state](h, maxFlows)
	return h
}

// NextDeadline is when Expire is due on the loop's clock, or loop.NoDeadline.
func (h *Handler) NextDeadline() int64 { return h.uses.NextOr(loop.NoDeadline) }

// Expire ends flows that were idle for too long. What exceeds the bound of one call is
// still due afterwards.
func (h *Handler) Expire(now int64) {
	h.uses.Expire(now, maxExpire, h.close)
}

// Len is the number of flows.
func (h *Handler) Len() int { return h.table.Len() }

// Close ends all flows.
func (h *Handler) Close() { h.table.All(h.close) }
