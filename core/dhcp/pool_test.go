package dhcp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
)

// poolConfig is slirp4netns's plan, with three addresses to lease.
func poolConfig() *config.Config {
	addr := netip.MustParseAddr
	c := testConfig()
	c.V4 = config.Family{Enabled: true, Guest: addr("10.0.2.100"), PrefixLen: 24, Gateway: addr("10.0.2.2"), Our: addr("10.0.2.2")}
	c.Link.Pool, c.Link.LeaseSec = config.Pool{First: addr("10.0.2.15"), Len: 3}, 86400
	return c
}

// asks sends a message of the client with the given last byte of its MAC address and
// gives "TYPE ADDRESS" of the answer, "" for none.
func (f *fixture) asks(t *testing.T, client byte, options string) string {
	t.Helper()
	b := message4(t, options)
	b[offChaddr+5] = client
	f.ask4(t, b)
	frames := f.dev.Take(t)
	if len(frames) == 0 {
		return ""
	}
	u := frames[0].UDP(t)
	names := map[byte]string{typeOffer: "offer", typeACK: "ack", typeNAK: "nak"}
	var r request4
	if !r.parseOptions(u.Payload()[offOptions:]) {
		t.Fatal("options do not parse")
	}
	return names[r.msgType] + " " + packet.AddrFrom4([4]byte(u.Payload()[offYiaddr:])).Netip().String()
}

func TestPool(t *testing.T) {
	const (
		wants16, wants99 = "3204 0a000210", "3204 0a000263"
		ours, other      = "3604 0a000202", "3604 0a000209"
		release, decline = "350107", "350104"
	)
	type step struct {
		client        byte
		options, want string
		later         time.Duration
	}
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"one client keeps its address", []step{
			{1, discover, "offer 10.0.2.15", 0},
			{1, request + "3204 0a00020f" + ours, "ack 10.0.2.15", time.Hour},
			{1, discover, "offer 10.0.2.15", 48 * time.Hour},
		}},
		{"each its own", []step{
			{1, discover, "offer 10.0.2.15", 0}, {2, discover, "offer 10.0.2.16", 0}, {3, discover, "offer 10.0.2.17", 0}, {4, discover, "", 0},
		}},
		{"an offer is kept for a minute", []step{
			{1, discover, "offer 10.0.2.15", 0},
			{2, discover, "offer 10.0.2.16", 0},
			{3, discover, "offer 10.0.2.17", 61 * time.Second},
			{4, discover, "offer 10.0.2.15", 0},
		}},
		{"an offer does not shorten a lease", []step{
			{1, request + "3204 0a00020f", "ack 10.0.2.15", 0},
			{1, discover, "offer 10.0.2.15", time.Hour},
			{2, discover + "3204 0a00020f", "offer 10.0.2.16", 0},
		}},
		{"a wish", []step{{1, discover + wants16, "offer 10.0.2.16", 0}, {2, discover + wants16, "offer 10.0.2.15", 0}}},
		{"a wish outside", []step{{1, discover + wants99, "offer 10.0.2.15", 0}}},
		{"request without discover", []step{{1, request + wants16, "ack 10.0.2.16", 0}}},
		{"request for what is leased", []step{{1, request + wants16, "ack 10.0.2.16", 0}, {2, request + wants16, "nak 0.0.0.0", 0}}},
		{"request outside", []step{{1, request + wants99, "nak 0.0.0.0", 0}}},
		{"request without a wish", []step{{1, request, "ack 10.0.2.15", 0}}},
		{"BOOTP", []step{{1, "", " 10.0.2.15", 0}}},
		{"another server is chosen", []step{
			{1, discover, "offer 10.0.2.15", 0}, {1, request + wants99 + other, "", 0}, {2, discover, "offer 10.0.2.15", 0},
		}},
		{"release", []step{{1, request, "ack 10.0.2.15", 0}, {1, release + ours, "", 0}, {2, request, "ack 10.0.2.15", 0}}},
		{"decline", []step{
			{1, request, "ack 10.0.2.15", 0},
			{1, decline + ours, "", 0},
			{1, request, "ack 10.0.2.16", 11 * time.Minute},
			{2, request + "3204 0a00020f", "ack 10.0.2.15", 0},
		}},
		{"inform", []step{{1, "350108", "", 0}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, poolConfig())
			now := time.Unix(0, 0)
			f.pool.now = func() time.Time { return now }
			for i, s := range tt.steps {
				got := f.asks(t, s.client, s.options)
				if s.options == "" { // BOOTP replies have a type here, too
					got = got[len("ack"):]
				}
				if got != s.want {
					t.Errorf("step %d: got %q, want %q", i, got, s.want)
				}
				now = now.Add(s.later)
			}
		})
	}
}

func TestRefusalTellsTheServerOnly(t *testing.T) {
	f := newFixture(t, poolConfig())
	f.ask4(t, message4(t, request+"3204 0a000263"))
	frame := f.dev.One(t)
	if frame.EthDst != packet.Broadcast || frame.Dst != packet.AddrFrom4([4]byte{255, 255, 255, 255}) {
		t.Errorf("sent to %x, %v, want broadcast", frame.EthDst, frame.Dst.Netip())
	}
	want := coretest.Unhex(t, "350106 36040a000202 ff")
	if diff := cmp.Diff(want, options4Of(t, frame)[:len(want)]); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
}

// FuzzPool: whatever a client asks for, it gets an address of the pool or a refusal, and
// nobody gets one that another has.
func FuzzPool(f *testing.F) {
	for _, s := range seeds4(f) {
		f.Add(s.msg, s.msg)
	}
	f.Add(message4(f, discover), message4(f, request+"3204 0a00020f"))
	f.Add(message4(f, request), message4(f, "350107"))
	f.Fuzz(func(t *testing.T, one, two []byte) {
		fix := newFixture(t, poolConfig())
		fix.pool.now = func() time.Time { return time.Unix(0, 0) }
		for _, msg := range [][]byte{one, two} {
			if len(msg) > 65000 {
				return
			}
			fix.ask4(t, msg)
			frames := fix.dev.Take(t)
			if len(frames) > 1 {
				t.Fatalf("%d answers", len(frames))
			}
			for _, frame := range frames {
				addr := packet.AddrFrom4([4]byte(frame.UDP(t).Payload()[offYiaddr:]))
				if _, ok := fix.pool.index(addr); !ok && !addr.IsUnspecified() {
					t.Errorf("leases %v", addr.Netip())
				}
			}
		}
		taken := map[packet.MAC]int{}
		for _, l := range fix.pool.leases {
			if taken[l.mac]++; taken[l.mac] > 1 && l.mac != (packet.MAC{}) {
				t.Errorf("%x has several addresses", l.mac)
			}
		}
	})
}
