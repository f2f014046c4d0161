package rtnl

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Rule sends packets to a routing table, see ip-rule(8).
type Rule struct {
	// From is the source of the packets; it also tells the family.
	From netip.Prefix
	// Mark is that of the packets (SO_MARK).
	Mark uint32
	// Table is where they are looked up.
	Table uint32
	// Priority orders rules: the lowest is tried first.
	Priority uint32
}

// String gives the rule in short, for errors.
func (r Rule) String() string {
	return fmt.Sprintf("from %s mark %#x to table %d", r.From, r.Mark, r.Table)
}

// AddRule adds a rule. The error is EEXIST if there is an equal one.
func (c *Conn) AddRule(r Rule) error {
	if err := c.change(unix.RTM_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, encodeRule(r)); err != nil {
		return &OpError{Op: "add rule", Target: r.String(), Err: err}
	}
	return nil
}

// encodeRule builds an RTM_NEWRULE message without its netlink header. The table's 8
// bits in struct fib_rule_hdr are superseded by FRA_TABLE.
func encodeRule(r Rule) []byte {
	b := []byte{
		FamilyOf(r.From.Addr()).af(), 0, uint8(r.From.Bits()), 0,
		unix.RT_TABLE_UNSPEC, 0, 0, unix.FR_ACT_TO_TBL,
		0, 0, 0, 0, // flags
	}
	b = appendAttr(b, unix.FRA_SRC, r.From.Addr().AsSlice())
	b = appendUint32(b, unix.FRA_FWMARK, r.Mark)
	b = appendUint32(b, unix.FRA_TABLE, r.Table)
	return appendUint32(b, unix.FRA_PRIORITY, r.Priority)
}
