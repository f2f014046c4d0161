package tcp

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
)

// splicer records what it is handed.
type splicer struct {
	fds     []int
	targets []fwd.Target
}

func (s *splicer) Open(fd int, t fwd.Target, _ int64) {
	s.fds = append(s.fds, fd)
	s.targets = append(s.targets, t)
}

// TestDivert: connections from a loopback interface go to the bypass if they may,
// and what may not be carried at all is reset.
func TestDivert(t *testing.T) {
	const target = 80
	loopback := netip.MustParseAddr("127.0.0.1")
	tests := []struct {
		name   string
		bypass fwd.Bypass
		pif    fwd.Pif
		addr   netip.Addr // of the rule
		want   fwd.Target // zero: none
		onTap  bool
	}{
		{
			"to the guest",
			fwd.Bypass{Inbound: true},
			fwd.Host,
			netip.Addr{},
			fwd.Target{Pif: fwd.Splice, Addr: packet.AddrFrom(guest4), Port: target},
			false,
		},
		{
			"to the same address",
			fwd.Bypass{Inbound: true, SameLoopback: true},
			fwd.Host,
			netip.Addr{},
			fwd.Target{Pif: fwd.Splice, Addr: packet.AddrFrom(loopback), Port: target},
			false,
		},
		{"no bypass", fwd.Bypass{}, fwd.Host, netip.Addr{}, fwd.Target{}, true},
		{"another target", fwd.Bypass{Inbound: true}, fwd.Host, guest4, fwd.Target{}, true},
		{"nowhere", fwd.Bypass{}, fwd.Host, loopback, fwd.Target{}, false},
		{
			"from the namespace",
			fwd.Bypass{},
			fwd.Splice,
			netip.Addr{},
			fwd.Target{Pif: fwd.Host, Addr: packet.AddrFrom(loopback), Port: target},
			false,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &splicer{}
			e := newEnv(t, setup{opts: Options{Splice: s}})
			e.h.nat.Bypass = tt.bypass
			l, err := net.Listen("tcp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			port := portOf(l.Addr())
			c, err := net.Dial("tcp4", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			err = e.h.AddListener(config.Listener{
				FD: coretest.TakeFD(t, l.(*net.TCPListener)), Pif: tt.pif, Port: port,
				Rule: fwd.Rule{Proto: fwd.TCP, First: port, Last: port, Target: target, TargetAddr: tt.addr},
			})
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case tt.onTap:
				e.until("connection on the tap", func() bool { return e.h.Len() == 1 })
			case tt.want != fwd.Target{}:
				e.until("connection in the bypass", func() bool { return len(s.fds) == 1 })
				if s.targets[0] != tt.want {
					t.Errorf("target %+v, want %+v", s.targets[0], tt.want)
				}
				sys.Close(s.fds[0])
			default:
				e.turn(patience)
				_ = c.SetReadDeadline(time.Now().Add(patience))
				if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("read: %v, want a reset", err)
				}
			}
			if n := e.h.Len(); n != 0 && !tt.onTap {
				t.Errorf("%d connections on the tap, want none", n)
			}
		})
	}
}
