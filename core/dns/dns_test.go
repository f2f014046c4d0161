package dns

import (
	"encoding/binary"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/tap"
)

// server4 and server6 are where the guest sends queries.
var (
	server4 = netip.AddrPortFrom(coretest.Gateway4, 53)
	server6 = netip.AddrPortFrom(coretest.Gateway6, 53)
	client4 = netip.AddrPortFrom(coretest.Guest4, 4000)
	client6 = netip.AddrPortFrom(coretest.Guest6, 4000)
)

// long is the longest name that there can be, 253 characters.
var long = strings.Repeat(strings.Repeat("a", 63)+".", 3) + strings.Repeat("b", 61)

func testConfig() *config.Config {
	c := coretest.Config()
	c.V4.DNSForward, c.V6.DNSForward = coretest.Gateway4, coretest.Gateway6
	addr := netip.MustParseAddr
	c.Names = []config.Name{
		{Name: "host.internal", Addr: addr("192.168.65.2")},
		{Name: "Dual.Example.", Addr: addr("10.0.0.1")},
		{Name: "dual.example", Addr: addr("fd00::1")},
		{Name: "dual.example", Addr: addr("10.0.0.2")},
		{Name: "six", Addr: addr("fd00::6")},
		{Name: long, Addr: addr("fd00::7")},
		{Name: "no..name", Addr: addr("10.0.0.3")},
	}
	return c
}

// message is a query with header flags for a name.
func message(t testing.TB, flags uint16, name string, qtype uint16) []byte {
	t.Helper()
	b := []byte{0xab, 0xcd}
	b = binary.BigEndian.AppendUint16(b, flags)
	b = append(b, 0, 1, 0, 0, 0, 0, 0, 0)
	b, err := packet.AppendName(b, name)
	if err != nil {
		t.Fatal(err)
	}
	b = binary.BigEndian.AppendUint16(b, qtype)
	return append(b, 0, classIN)
}

type fixture struct {
	*Server
	dev  *coretest.MemTap
	link *tap.Link
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	link, dev := coretest.NewLink(t, coretest.AllFeatures)
	return &fixture{New(testConfig(), link, slog.New(slog.DiscardHandler)), dev, link}
}

// ask passes a query through link and server.
func (f *fixture) ask(t testing.TB, from, to netip.AddrPort, msg []byte) (handled bool) {
	t.Helper()
	return f.FromTap(coretest.PassUDP(t, f.link, f.dev, from, to, msg))
}

const recursion = 0x0100

func TestAnswers(t *testing.T) {
	const found, none = "8580 0001 0001 00000000", "8583 0001 0000 00000000"
	for _, tt := range []struct {
		name     string
		from, to netip.AddrPort
		query    string
		qtype    uint16
		head     string // from the flags to the question
		record   string // behind the question
	}{
		{"address", client4, server4, "host.internal", typeA, found, "c00c 0001 0001 00000000 0004 c0a84102"},
		{"in capitals", client4, server4, "HOST.Internal", typeA, found, "c00c 0001 0001 00000000 0004 c0a84102"},
		{"over IPv6", client6, server6, "host.internal", typeA, found, "c00c 0001 0001 00000000 0004 c0a84102"},
		{"no address of this family", client4, server4, "host.internal", typeAAAA, none, ""},
		{"another type", client4, server4, "host.internal", 15, none, ""},
		{"both families, first address", client4, server4, "dual.example", typeA, found, "c00c 0001 0001 00000000 0004 0a000001"},
		{"both families, IPv6", client4, server4, "dual.example", typeAAAA, found, "c00c 001c 0001 00000000 0010 fd000000000000000000000000000001"},
		{"any type", client4, server4, "dual.example", typeANY, found, "c00c 0001 0001 00000000 0004 0a000001"},
		{"any type, IPv6 only", client4, server4, "six", typeANY, found, "c00c 001c 0001 00000000 0010 fd000000000000000000000000000006"},
		{"longest name", client6, server6, long, typeAAAA, found, "c00c 001c 0001 00000000 0010 fd000000000000000000000000000007"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			msg := message(t, recursion, tt.query, tt.qtype)
			if !f.ask(t, tt.from, tt.to, msg) {
				t.Fatal("not handled")
			}
			got := f.dev.One(t)
			u := got.UDP(t)
			if got.Src.Netip() != tt.to.Addr() || got.Dst.Netip() != tt.from.Addr() || u.SrcPort() != 53 || u.DstPort() != 4000 {
				t.Errorf("from %v:%d to %v:%d", got.Src.Netip(), u.SrcPort(), got.Dst.Netip(), u.DstPort())
			}
			want := append([]byte{0xab, 0xcd}, coretest.Unhex(t, tt.head)...)
			want = append(want, msg[headerLen:]...)
			if want = append(want, coretest.Unhex(t, tt.record)...); string(u.Payload()) != string(want) {
				t.Errorf("got  % x\nwant % x", u.Payload(), want)
			}
		})
	}
}

// TestPassesOn: what is not ours to answer goes on to the resolver.
func TestPassesOn(t *testing.T) {
	ours := message(t, recursion, "host.internal", typeA)
	change := func(at int, v byte) []byte {
		b := append([]byte(nil), ours...)
		b[at] = v
		return b
	}
	for _, tt := range []struct {
		name string
		to   netip.AddrPort
		msg  []byte
	}{
		{"another name", server4, message(t, recursion, "example.org", typeA)},
		{"below one of ours", server4, message(t, recursion, "x.host.internal", typeA)},
		{"name that could not be served", server4, message(t, recursion, "no.name", typeA)},
		{"another server", netip.MustParseAddrPort("10.66.0.9:53"), ours},
		{"another port", netip.AddrPortFrom(coretest.Gateway4, 853), ours},
		{"response", server4, message(t, 0x8000, "host.internal", typeA)},
		{"notification", server4, message(t, 4<<11, "host.internal", typeA)},
		{"no question", server4, change(5, 0)},
		{"two questions", server4, change(5, 2)},
		{"another class", server4, change(len(ours)-1, 3)},
		{"compressed name", server4, change(12, 0xc0)},
		{"empty", server4, nil},
		{"cut header", server4, ours[:11]},
		{"cut name", server4, ours[:20]},
		{"cut question", server4, ours[:len(ours)-1]},
		{"name that is too long", server4, append(ours[:headerLen:headerLen], []byte(strings.Repeat("\x3f"+strings.Repeat("a", 63), 5))...)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			if f.ask(t, client4, tt.to, tt.msg) || f.dev.Sent() != 0 {
				t.Errorf("handled, %d frames sent", f.dev.Sent())
			}
		})
	}
}

func TestWithoutNames(t *testing.T) {
	f := newFixture(t)
	f.names = nil
	if f.ask(t, client4, server4, message(t, recursion, "host.internal", typeA)) {
		t.Error("handled")
	}
}

func TestNoAllocation(t *testing.T) {
	f := newFixture(t)
	frame := coretest.UDP(client4, server4, message(t, recursion, "host.internal", typeA))
	buf := make([]byte, tap.RecvLen)
	var p packet.Packet
	got := testing.AllocsPerRun(100, func() {
		f.dev.Inject(frame)
		f.link.Recv(buf, &p)
		u, _ := packet.ParseUDP(p.L4)
		f.FromTap(&p, u)
		f.dev.Discard()
	})
	if got != 0 {
		t.Errorf("%v allocations per query, want 0", got)
	}
}

// FuzzQuery: no message panics, and what is answered repeats the question.
func FuzzQuery(f *testing.F) {
	f.Add(message(f, recursion, "host.internal", typeA))
	f.Add(message(f, 0, "dual.example", typeANY))
	f.Add([]byte("\x00\x00\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01"))
	fix := newFixture(f)
	f.Fuzz(func(t *testing.T, msg []byte) {
		if len(msg) > 1<<15 || !fix.ask(t, client4, server4, msg) {
			return
		}
		reply := fix.dev.One(t).UDP(t).Payload()
		if string(reply[:2]) != string(msg[:2]) || !strings.HasPrefix(string(reply[headerLen:]), string(fix.query.question)) {
			t.Errorf("reply % x to % x", reply, msg)
		}
	})
}
