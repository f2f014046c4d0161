package portfwd

import (
	"context"
	"net"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

// listers makes both kinds of scanner.
func listers(t testing.TB) map[string]*Scanner {
	t.Helper()
	d, err := newDiag()
	if err != nil {
		t.Fatal(err)
	}
	p, err := newProcNet("/proc/thread-self/net")
	if err != nil {
		t.Fatal(err)
	}
	scanners := map[string]*Scanner{
		"sock_diag": {lister: d, lists: sources()},
		"proc":      {lister: p, lists: sources()},
	}
	t.Cleanup(func() {
		for _, s := range scanners {
			s.Close()
		}
	})
	return scanners
}

func TestScanFindsListeners(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		loUp(t)
		for _, address := range []string{"127.0.0.1:80", "[::1]:81", "[::]:82"} {
			hold(t, "tcp", address)
			hold(t, "udp", strings.Replace(address, ":8", ":9", 1))
		}
		// Connections and connected sockets are no services.
		c, err := net.Dial("tcp", "127.0.0.1:80")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		u, err := net.Dial("udp", "127.0.0.1:90")
		if err != nil {
			t.Fatal(err)
		}
		defer u.Close()
		for name, s := range listers(t) {
			var got Listening
			if err := s.Scan(&got, nil); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got.TCP != *setOf(80, 81, 82) {
				t.Errorf("%s: TCP ports are not 80, 81 and 82", name)
			}
			if got.UDP != *setOf(90, 91, 92) {
				t.Errorf("%s: UDP ports are not 90, 91 and 92", name)
			}
		}
	})
}

// hold opens a port for the duration of the test.
func hold(t testing.TB, network, address string) {
	t.Helper()
	var lc net.ListenConfig
	if network == "udp" {
		c, err := lc.ListenPacket(context.Background(), network, address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return
	}
	l, err := lc.Listen(context.Background(), network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
}

// TestListenersComeFirst checks what parseProcNet counts on: the kernel lists
// listening sockets before connections, also across pages.
func TestListenersComeFirst(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		loUp(t)
		var want PortSet
		for port := uint16(8000); port < 8100; port++ {
			hold(t, "tcp", netAddress(port))
			c, err := net.Dial("tcp", netAddress(port))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			want.Add(port)
		}
		var got Listening
		if err := listers(t)["proc"].Scan(&got, nil); err != nil {
			t.Fatal(err)
		}
		if got.TCP != want {
			t.Error("/proc/net/tcp: some listening socket comes after a connection")
		}
	})
}

// manySockets opens n sockets: a quarter each of listeners, UDP services, and both
// ends of connections.
func manySockets(t testing.TB, n int) {
	t.Helper()
	for i := range n / 4 {
		address := netAddress(uint16(10000 + i))
		hold(t, "tcp", address)
		hold(t, "udp", address)
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
	}
}

const many = 10000

func TestScanOfManySockets(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		loUp(t)
		manySockets(t, many)
		s, err := NewScanner()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, ok := s.lister.(*diag); !ok {
			netnstest.Lacks(t, "this kernel has no sock_diag")
		}
		var l Listening
		// Processor time: the machine has other things to do. The kernel updates it
		// every few milliseconds, hence rounds of several scans; and the median of them,
		// because what else runs takes the caches.
		const scans, limit = 20, slowdown * 5 * time.Millisecond
		var rounds [25]time.Duration
		for i := range rounds {
			start := threadTime(t)
			for range scans {
				if err := s.Scan(&l, nil); err != nil {
					t.Fatal(err)
				}
			}
			rounds[i] = (threadTime(t) - start) / scans
		}
		slices.Sort(rounds[:])
		median := rounds[len(rounds)/2]
		if median > limit {
			t.Errorf("a scan of %d sockets takes %v, want at most %v", many, median, limit)
		}
		t.Logf("a scan of %d sockets takes %v (%v to %v)", many, median, rounds[0], rounds[len(rounds)-1])
		if !l.TCP.Has(10000+many/4-1) || !l.UDP.Has(10000+many/4-1) {
			t.Error("the last port is missing")
		}
	})
}

// threadTime is the processor time that the calling thread has used.
func threadTime(t testing.TB) time.Duration {
	t.Helper()
	const thread = 1 // RUSAGE_THREAD
	var u syscall.Rusage
	if err := syscall.Getrusage(thread, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestScanSkipsOthers: sockets that are not wanted, such as our own listeners, cost a
// fraction.
func TestScanSkipsOthers(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		loUp(t)
		manySockets(t, many)
		s := listers(t)["sock_diag"]
		var wanted Listening
		wanted.TCP.AddRange(1, 9999)
		wanted.TCP.AddRange(20000, 30000)
		wanted.UDP = wanted.TCP
		took := func(wanted *Listening) time.Duration {
			var l Listening
			start := threadTime(t)
			for range 40 {
				if err := s.Scan(&l, wanted); err != nil {
					t.Fatal(err)
				}
			}
			return (threadTime(t) - start) / 40
		}
		all, some := took(nil), took(&wanted)
		t.Logf("a scan of %d sockets takes %v, %v if none is wanted", many, all, some)
		if some > all/2 {
			t.Errorf("sockets that are not wanted cost more than half: %v of %v", some, all)
		}
	})
}

func TestScanDoesNotAllocate(t *testing.T) {
	for name, s := range listers(t) {
		var l, wanted Listening
		wanted.TCP.AddRange(1, 1000)
		wanted.UDP.AddRange(2000, 65535)
		if n := testing.AllocsPerRun(5, func() {
			if err := s.Scan(&l, &wanted); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations, want none", name, n)
		}
	}
}

// BenchmarkScan compares both sources, with few sockets and with many.
func BenchmarkScan(b *testing.B) {
	for _, n := range []int{0, many} {
		manySockets(b, n)
		for name, s := range listers(b) {
			b.Run(name+"/"+map[bool]string{true: "idle", false: "many"}[n == 0], func(b *testing.B) {
				b.ReportAllocs()
				var l Listening
				for b.Loop() {
					if err := s.Scan(&l, nil); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

const procHead = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

func TestParseProcNet(t *testing.T) {
	const (
		listening = "   0: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0\n"
		other     = "   1: 0100007F:0051 0100007F:9000 01 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0\n"
		v6        = "   2: 00000000000000000000000001000000:FFFF 00000000000000000000000000000000:0000 0A 00000000:00000000\n"
		bound     = "  99: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0 0\n"
	)
	lists := sources()
	tcp, udp := lists[0], lists[2]
	tests := []struct {
		name string
		s    source
		in   string
		want *PortSet
		rest string
		more bool
	}{
		{"heading", tcp, procHead, setOf(), "", true},
		{"listeners", tcp, procHead + listening + v6, setOf(80, 65535), "", true},
		{"stops at a connection", tcp, procHead + listening + other + v6, setOf(80), "", false},
		{"UDP does not stop", udp, procHead + other + bound, setOf(53), "", true},
		{"incomplete line", tcp, listening + v6[:20], setOf(80), v6[:20], true},
		{"nonsense", tcp, "a b c d\n\n: : : :\n0: 0:G000 0:0 0A\n", setOf(), "", true},
		{"empty", tcp, "", setOf(), "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got PortSet
			rest, more := parseProcNet([]byte(tt.in), tt.s, &got)
			if string(rest) != tt.rest || more != tt.more || got != *tt.want {
				t.Errorf("rest %q, more %v, set as wanted %v; want rest %q, more %v",
					rest, more, got == *tt.want, tt.rest, tt.more)
			}
		})
	}
}

func FuzzParseProcNet(f *testing.F) {
	f.Add([]byte(procHead+"   0: 0100007F:0050 00000000:0000 0A 0:0\n"), true)
	f.Add([]byte("0: :0035 x 07\n1: :"), false)
	f.Fuzz(func(t *testing.T, b []byte, isTCP bool) {
		lists := sources()
		s := lists[2]
		if isTCP {
			s = lists[0]
		}
		var got PortSet
		rest, more := parseProcNet(b, s, &got)
		if more && (strings.Contains(string(rest), "\n") || !strings.HasSuffix(string(b), string(rest))) {
			t.Errorf("parseProcNet(%q): rest %q is not the incomplete last line", b, rest)
		}
		if !more && !isTCP {
			t.Errorf("parseProcNet(%q): stopped in a list of UDP sockets", b)
		}
	})
}
