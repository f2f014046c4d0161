package netcfg

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"

	"github.com/pasta-net/pasta/netcfg/rtnl"
)

// ForeignMark is the mark (SO_MARK) that sockets bound to addresses of others need for
// AcceptForeignSources.
const ForeignMark = 0x70617374

const (
	// foreignTable and foreignPriority are numbers that hopefully nobody else uses.
	foreignTable    = ForeignMark
	foreignPriority = 100
)

// foreignSysctls make services answer with the mark of the packet that they answer:
// accepted connections, and what the kernel sends on its own such as RST.
var foreignSysctls = []string{"ipv4/tcp_fwmark_accept", "ipv4/fwmark_reflect", "ipv6/fwmark_reflect"}

// AcceptForeignSources has services on the loopback addresses of this thread's network
// namespace answer to sockets there that are bound to addresses of others
// (sys.SetTransparent, SO_MARK with ForeignMark): such answers stay in the namespace
// instead of following its routes. Everything else is left as it is. It tells for
// which families that works, and why not for others. Needs CAP_NET_ADMIN.
func AcceptForeignSources() (v4, v6 bool, err error) {
	for _, name := range foreignSysctls {
		if werr := os.WriteFile("/proc/sys/net/"+name, []byte("1"), 0); werr != nil {
			err = errors.Join(err, fmt.Errorf("set %s: %w", name, werr))
		}
	}
	if err != nil {
		return false, false, err
	}
	conn, err := rtnl.Open()
	if err != nil {
		return false, false, err
	}
	defer conn.Close()
	err4 := keepForeign(conn, netip.MustParsePrefix("127.0.0.0/8"))
	err6 := keepForeign(conn, netip.MustParsePrefix("::1/128"))
	return err4 == nil, err6 == nil, errors.Join(err4, err6)
}

// keepForeign makes all addresses our own for marked packets from loopback. Packets
// that only go there, and so have another source, are not concerned.
func keepForeign(conn *rtnl.Conn, loopback netip.Prefix) error {
	all := netip.IPv4Unspecified()
	if loopback.Addr().Is6() {
		all = netip.IPv6Unspecified()
	}
	err := conn.AddRoute(rtnl.Route{
		Dst: netip.PrefixFrom(all, 0), Table: foreignTable, Type: rtnl.TypeLocal, Scope: rtnl.ScopeHost,
		Protocol: rtnl.ProtocolBoot, Hops: []rtnl.Hop{{Index: loopbackIndex}},
	})
	if err != nil && !errors.Is(err, syscall.EEXIST) {
		return err
	}
	err = conn.AddRule(rtnl.Rule{From: loopback, Mark: ForeignMark, Table: foreignTable, Priority: foreignPriority})
	if err != nil && !errors.Is(err, syscall.EEXIST) {
		return err
	}
	return nil
}
