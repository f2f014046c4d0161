package icmp

import (
	"bytes"
	"log/slog"
	"math"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/flow"
	"github.com/pasta-net/pasta/core/loop"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

var (
	guest4, guest6     = coretest.Guest4, coretest.Guest6
	gateway4, gateway6 = coretest.Gateway4, coretest.Gateway6
	routed4            = netip.MustParseAddr("10.66.0.77") // nobody there
	denied4, denied6   = netip.MustParseAddr("10.99.0.1"), netip.MustParseAddr("fd99::1")
)

// env is a handler between an in-memory guest and real sockets.
type env struct {
	*coretest.Env
	h   *Handler
	log bytes.Buffer
}

func newEnv(t testing.TB) *env {
	t.Helper()
	cfg := coretest.Config()
	e := &env{Env: coretest.NewEnv(t, coretest.AllFeatures, nil)}
	e.h = New(cfg, cfg.Map(), e.Link, e.Loop, slog.New(slog.NewTextHandler(&e.log, nil)))
	t.Cleanup(e.h.Close)
	return e
}

func (e *env) guestSends(frames ...[]byte) {
	e.T.Helper()
	for _, f := range frames {
		e.Dev.Inject(f)
	}
	e.deliver()
}

func (e *env) deliver() {
	batch, _ := e.Batch(math.MaxInt)
	for _, p := range batch {
		e.h.FromTap(p, e.Now)
	}
}

func (e *env) turn(wait time.Duration) {
	for _, ev := range e.Events(wait) {
		if ev.Token.Kind() == loop.KindICMP {
			e.h.FromSock(ev.Token.Index(), ev.Token.Gen(), ev.Bits, e.Now)
		}
	}
}

// guestGets turns the loop until the guest got want frames.
func (e *env) guestGets(want int) []*coretest.Frame {
	e.T.Helper()
	var frames []*coretest.Frame
	e.Until("frames to the guest", e.turn, func() bool {
		frames = append(frames, e.Dev.Take(e.T)...)
		return len(frames) >= want
	})
	if len(frames) != want {
		e.T.Fatalf("guest got %d frames, want %d", len(frames), want)
	}
	return frames
}

// inNamespace runs body where ping sockets are allowed and routes are known.
func inNamespace(t *testing.T, body func(t *testing.T)) {
	netnstest.Run(t, func(t *testing.T) {
		netnstest.IP(t, `link set lo up
link add veth0 type veth peer name veth1
link set veth0 up
link set veth1 up
addr add 10.66.0.2/24 dev veth0
route add unreachable 10.99.0.0/16
route add prohibit 10.98.0.0/16
route add unreachable fd99::/16
route add prohibit fd98::/16
`)
		if err := os.WriteFile("/proc/sys/net/ipv4/ping_group_range", []byte("0 0"), 0o644); err != nil {
			t.Fatal(err)
		}
		body(t)
	})
}

func TestEcho(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		for _, tt := range []struct {
			name           string
			guest, gateway netip.Addr
			size           int
		}{
			{"IPv4", guest4, gateway4, 56},
			{"IPv4 empty", guest4, gateway4, 0},
			{"IPv4 large", guest4, gateway4, 3000},
			{"IPv6", guest6, gateway6, 56},
			{"IPv6 odd", guest6, gateway6, 57},
			{"IPv6 large", guest6, gateway6, 60000},
		} {
			t.Run(tt.name, func(t *testing.T) {
				e := newEnv(t)
				payload := bytes.Repeat([]byte{0x5a}, tt.size)
				for seq := range uint16(3) {
					e.guestSends(coretest.Echo(tt.guest, tt.gateway, 4242, seq, payload))
					f := e.guestGets(1)[0]
					m := f.ICMP(t)
					want := uint8(packet.ICMPEchoReply)
					if tt.guest.Is6() {
						want = packet.ICMPv6EchoReply
					}
					if m.Type() != want || m.ID() != 4242 || m.Seq() != seq || !bytes.Equal(m.Payload(), payload) {
						t.Errorf("reply type %d, id %d, seq %d, %d bytes, want %d, 4242, %d, %d",
							m.Type(), m.ID(), m.Seq(), len(m.Payload()), want, seq, tt.size)
					}
					if f.Src.Netip() != tt.gateway || f.Dst.Netip() != tt.guest {
						t.Errorf("reply %v > %v, want %v > %v", f.Src.Netip(), f.Dst.Netip(), tt.gateway, tt.guest)
					}
				}
				if e.h.Len() != 1 {
					t.Errorf("%d flows, want 1", e.h.Len())
				}
			})
		}
	})
}

// TestOwnAddress: we answer for our own addresses ourselves, without socket or flow.
func TestOwnAddress(t *testing.T) {
	for _, tt := range []struct {
		name       string
		guest, own netip.Addr
		want       uint8
	}{
		{"IPv4", guest4, gateway4, packet.ICMPEchoReply},
		{"IPv6", guest6, gateway6, packet.ICMPv6EchoReply},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnv(t)
			e.h.nat.Family(packet.AddrFrom(tt.own)).Own[0] = packet.AddrFrom(tt.own)
			e.guestSends(coretest.Echo(tt.guest, tt.own, 4242, 7, []byte("abc")))
			f := e.Dev.One(t)
			if m := f.ICMP(t); m.Type() != tt.want || m.ID() != 4242 || m.Seq() != 7 || string(m.Payload()) != "abc" {
				t.Errorf("reply type %d, id %d, seq %d, payload %q", m.Type(), m.ID(), m.Seq(), m.Payload())
			}
			if f.Src.Netip() != tt.own || f.Dst.Netip() != tt.guest || e.h.Len() != 0 || e.h.Stats.Replies != 1 {
				t.Errorf("reply %v > %v, %d flows, %d replies", f.Src.Netip(), f.Dst.Netip(), e.h.Len(), e.h.Stats.Replies)
			}
			e.Dev.Refuse(1, syscall.ENOBUFS)
			e.guestSends(coretest.Echo(tt.guest, tt.own, 4242, 8, nil))
			if e.Link.Stats.Drops[packet.DropQueueFull] != 1 {
				t.Errorf("drops %v, want one for the full queue", e.Link.Stats.Drops)
			}
		})
	}
}

// TestIdentifierOnWire checks that the kernel sends the guest's identifier, and
// that a second flow with it gets another one but the guest does not notice.
func TestIdentifierOnWire(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		e := newEnv(t)
		second := netip.MustParseAddr("10.66.0.3")
		var ports []uint16
		for _, guest := range []netip.Addr{guest4, second} {
			e.guestSends(coretest.Echo(guest, gateway4, 4242, 1, nil))
			f := e.guestGets(1)[0]
			if f.Dst.Netip() != guest || f.ICMP(t).ID() != 4242 {
				t.Errorf("reply to %v with identifier %d, want %v, 4242", f.Dst.Netip(), f.ICMP(t).ID(), guest)
			}
		}
		e.h.table.All(func(i uint32) {
			var a sys.SockAddr
			sys.LocalAddr(e.h.flows[i].fd, &a)
			_, port := a.AddrPort()
			ports = append(ports, port)
		})
		if len(ports) != 2 || ports[0] != 4242 || ports[1] == 4242 {
			t.Errorf("identifiers on the wire %v, want 4242 and another", ports)
		}
	})
}

// TestRepeatedSequenceNumber: a guest that never counts gets all its replies.
func TestRepeatedSequenceNumber(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		e := newEnv(t)
		for range 3 {
			e.guestSends(coretest.Echo(guest4, gateway4, 1, 7, nil))
			e.guestGets(1)
		}
		if e.h.Stats.Replies != 3 {
			t.Errorf("%d replies, want 3", e.h.Stats.Replies)
		}
	})
}

func TestUnreachable(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		for _, tt := range []struct {
			name                  string
			guest, dst            netip.Addr
			typ, code, quotedType uint8
		}{
			{"IPv4", guest4, denied4, packet.ICMPUnreachable, packet.ICMPCodeHost, packet.ICMPEchoRequest},
			{"prohibited, IPv4", guest4, netip.MustParseAddr("10.98.0.1"), packet.ICMPUnreachable, packet.ICMPCodeAdmin, packet.ICMPEchoRequest},
			{"prohibited, IPv6", guest6, netip.MustParseAddr("fd98::1"), packet.ICMPv6Unreachable, packet.ICMPv6CodeAdmin, packet.ICMPv6EchoRequest},
			{"IPv6", guest6, denied6, packet.ICMPv6Unreachable, packet.ICMPv6CodeAddr, packet.ICMPv6EchoRequest},
		} {
			t.Run(tt.name, func(t *testing.T) {
				e := newEnv(t)
				e.guestSends(coretest.Echo(tt.guest, tt.dst, 9, 1, []byte("x")))
				f := e.guestGets(1)[0]
				m := f.ICMP(t)
				if m.Type() != tt.typ || m.Code() != tt.code {
					t.Errorf("type %d code %d, want %d, %d", m.Type(), m.Code(), tt.typ, tt.code)
				}
				var q packet.Quoted
				if !packet.ParseQuoted(m, &q) || q.Src.Netip() != tt.guest || q.Dst.Netip() != tt.dst || q.DstPort != 9 {
					t.Errorf("quoted %+v, want a request from %v to %v with identifier 9", q, tt.guest, tt.dst)
				}
				if e.h.Len() != 0 || e.log.Len() != 0 {
					t.Errorf("%d flows and log %q, want none", e.h.Len(), e.log.String())
				}
			})
		}
	})
}

// TestErrorQuotesGuestIdentifier checks what is made of an error that a router
// reported about a request that left with another identifier.
func TestErrorQuotesGuestIdentifier(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		e := newEnv(t)
		e.guestSends(coretest.Echo(guest4, routed4, 77, 3, []byte("payload")))
		router := packet.AddrFrom(netip.MustParseAddr("10.1.1.1"))
		onWire := []byte{packet.ICMPEchoRequest, 0, 0, 0, 0x12, 0x34, 0, 3, 'p', 'a'}
		e.h.passError(0, &sys.ExtendedErr{
			Errno: syscall.EHOSTUNREACH, Origin: sys.OriginICMP, Type: packet.ICMPTimeExceeded, Offender: router,
		}, onWire)
		f := e.guestGets(1)[0]
		m := f.ICMP(t)
		var q packet.Quoted
		if m.Type() != packet.ICMPTimeExceeded || f.Src != router || !packet.ParseQuoted(m, &q) || q.DstPort != 77 {
			t.Errorf("type %d from %v about identifier %d, want %d, %v, 77", m.Type(), f.Src.Netip(), q.DstPort, packet.ICMPTimeExceeded, router.Netip())
		}
	})
}

func TestForbidden(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) { // new namespaces allow nobody
		e := newEnv(t)
		for seq := range uint16(3) {
			e.guestSends(coretest.Echo(guest4, gateway4, 1, seq, nil))
		}
		lines := strings.Split(strings.TrimSpace(e.log.String()), "\n")
		if len(lines) != 3 || !strings.Contains(e.log.String(), "net.ipv4.ping_group_range") {
			t.Errorf("log %q, want three lines naming the sysctl", lines)
		}
		if e.Link.Stats.Drops[packet.DropNoSocket] != 3 || e.h.Len() != 0 {
			t.Errorf("drops %v with %d flows, want 3 and none", e.Link.Stats.Drops, e.h.Len())
		}
	})
}

func TestExpire(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		e := newEnv(t)
		e.guestSends(coretest.Echo(guest4, gateway4, 1, 1, nil))
		e.Now = int64(40 * time.Second)
		e.guestSends(coretest.Echo(guest4, gateway4, 1, 2, nil))
		e.h.Expire(int64(60 * time.Second))
		if e.h.Len() != 1 || e.h.NextDeadline() != int64(100*time.Second) {
			t.Errorf("%d flows until %v, want 1 until 100s", e.h.Len(), time.Duration(e.h.NextDeadline()))
		}
		e.h.Expire(int64(100 * time.Second))
		if e.h.Len() != 0 || e.h.NextDeadline() != loop.NoDeadline {
			t.Errorf("%d flows until %v, want none", e.h.Len(), e.h.NextDeadline())
		}
	})
}

func TestNotTranslated(t *testing.T) {
	for _, tt := range []struct {
		name  string
		frame []byte
		want  packet.Drop
	}{
		{"echo reply", coretest.ICMP(guest4, gateway4, packet.ICMPEchoReply, 0, 0, nil), packet.DropUnsupported},
		{"timestamp", coretest.ICMP(guest4, gateway4, 13, 0, 0, make([]byte, 12)), packet.DropUnsupported},
		{"request with code", coretest.ICMP(guest4, gateway4, packet.ICMPEchoRequest, 1, 0, nil), packet.DropUnsupported},
		{"IPv4 type in IPv6", coretest.ICMP(guest6, gateway6, packet.ICMPEchoRequest, 0, 0, nil), packet.DropUnsupported},
		{"short", coretest.IP(guest4, gateway4, packet.ProtoICMP, []byte{8, 0, 0xf7, 0xff}), packet.DropTransport},
		{"loopback", coretest.Echo(guest4, netip.MustParseAddr("127.0.0.1"), 1, 1, nil), packet.DropAddress},
		{"unspecified source", coretest.Echo(netip.IPv4Unspecified(), gateway4, 1, 1, nil), packet.DropAddress},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnv(t)
			e.guestSends(tt.frame)
			if e.Link.Stats.Drops[tt.want] != 1 || e.h.Len() != 0 {
				t.Errorf("drops %v, want one %v", e.Link.Stats.Drops, tt.want)
			}
		})
	}
}

func TestFullTableRecyclesOldest(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		e := newEnv(t)
		e.h.table, e.h.uses = flow.NewTable(2), flow.NewRecency(2, defaultTimeout, defaultTimeout)
		for id := range uint16(3) {
			e.Now = int64(id)
			e.guestSends(coretest.Echo(guest4, gateway4, id+1, 1, nil))
		}
		if e.h.Len() != 2 || e.h.Stats.Flows != 3 {
			t.Errorf("%d flows of %d made, want 2 of 3", e.h.Len(), e.h.Stats.Flows)
		}
	})
}

// TestSweepKeepsToShare: a sweep over addresses that never answer takes no more than the
// share, and a ping that is answered goes on.
func TestSweepKeepsToShare(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		netnstest.IP(t, "link set veth0 arp off\n") // nobody tells that nobody is there
		var limit syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
		limit.Cur = 256
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
		e := newEnv(t)
		for n := range 1000 {
			if n%100 == 0 {
				e.guestSends(coretest.Echo(guest4, gateway4, 1, uint16(n), nil))
				e.guestGets(1)
			}
			e.guestSends(coretest.Echo(guest4, netip.AddrFrom4([4]byte{10, 66, 0, byte(3 + n%250)}), uint16(1000+n), 1, nil))
		}
		const share = 14 // 8 of 128 parts of what flows may have of 256
		if e.h.Len() != share || e.h.Stats.Flows != 1001 || e.h.Stats.Recycled != 1001-share {
			t.Errorf("%d flows, %d of %d recycled, want %d, and the first one kept", e.h.Len(), e.h.Stats.Recycled, e.h.Stats.Flows, share)
		}
		e.Now += int64(5 * time.Second)
		e.guestSends(coretest.Echo(guest4, gateway4, 1, 1, nil))
		for n := share - 1; n > 0; n-- {
			if !e.h.GiveWay(e.Now) || e.h.Len() != n {
				t.Fatalf("%d flows, want %d after one gave way", e.h.Len(), n)
			}
		}
		if e.h.GiveWay(e.Now) {
			t.Error("a flow in use gave way")
		}
	})
}

func TestFullTableKeepsBusyFlow(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		e := newEnv(t)
		e.h.table, e.h.uses = flow.NewTable(2), flow.NewRecency(2, defaultTimeout, defaultTimeout)
		for at, id := range []uint16{1, 2, 1, 3, 1} { // 1 is first, but busy; 3 takes the place of 2
			e.Now = int64(at) * int64(time.Second)
			e.guestSends(coretest.Echo(guest4, gateway4, id, 1, nil))
		}
		if e.h.Len() != 2 || e.h.Stats.Flows != 3 {
			t.Errorf("%d flows of %d made, want 2 of 3: the busy one was recycled", e.h.Len(), e.h.Stats.Flows)
		}
	})
}

func TestNoAllocations(t *testing.T) {
	inNamespace(t, func(t *testing.T) {
		e := newEnv(t)
		frame := coretest.Echo(guest4, gateway4, 1, 0, make([]byte, 56))
		round := func() {
			e.Dev.Inject(frame)
			e.deliver()
			e.turn(0)
			e.Dev.Discard()
		}
		round()
		if n := testing.AllocsPerRun(100, round); n != 0 {
			t.Errorf("%v allocations per echo, want 0", n)
		}
		if e.h.Stats.Replies < 100 {
			t.Errorf("%d replies, want more than 100", e.h.Stats.Replies)
		}
	})
}
