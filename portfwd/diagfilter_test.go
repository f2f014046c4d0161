package portfwd

import (
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

// accepts runs a filter as the kernel does (inet_diag_bc_run).
func accepts(t *testing.T, filter []byte, port uint16) bool {
	t.Helper()
	ne := binary.NativeEndian
	b := filter[attrLen:]
	at := 0
	for steps := 0; at < len(b); steps++ {
		if steps > len(b) {
			t.Fatal("the filter does not end")
		}
		operand := ne.Uint16(b[at+opLen+2:])
		holds := port >= operand
		if b[at] == opSourceLE {
			holds = port <= operand
		}
		if holds {
			at += int(b[at+1])
		} else {
			at += int(ne.Uint16(b[at+2:]))
		}
	}
	return at == len(b)
}

// randomRanges is a set of n ranges at most.
func randomRanges(rng *rand.Rand, n int) *PortSet {
	var s PortSet
	for range n {
		first := uint16(rng.IntN(1 << 16))
		s.AddRange(first, first+uint16(min(rng.IntN(300), int(^first))))
	}
	return &s
}

func TestFilterSelectsTheSet(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	sets := []*PortSet{setOf(0), setOf(65535), setOf(0, 65535), setOf(1, 3, 5), setOf(63, 64, 65)}
	all := new(PortSet)
	all.AddRange(0, 65535)
	sets = append(sets, all)
	for n := 1; n <= maxRanges; n += 7 {
		sets = append(sets, randomRanges(rng, n))
	}
	var b [maxFilterLen]byte
	for i, s := range sets {
		filter := b[:putFilter(b[:], s)]
		for port := range 1 << 16 {
			if got := accepts(t, filter, uint16(port)); got != s.Has(uint16(port)) {
				t.Fatalf("set %d: port %d is accepted: %v, want %v", i, port, got, !got)
			}
		}
	}
}

// TestFilterOfTooManyRanges: nothing that is wanted is left out.
func TestFilterOfTooManyRanges(t *testing.T) {
	var s PortSet
	for port := uint16(100); port < 100+2*(maxRanges+10); port += 2 {
		s.Add(port)
	}
	var b [maxFilterLen]byte
	filter := b[:putFilter(b[:], &s)]
	for port := range 1 << 16 {
		if s.Has(uint16(port)) && !accepts(t, filter, uint16(port)) {
			t.Fatalf("port %d is not accepted", port)
		}
	}
	if accepts(t, filter, 99) || accepts(t, filter, 101) {
		t.Error("ports before the last range are not filtered")
	}
}

// TestKernelFilters: the kernel takes filters of every size, and leaves out what the
// set does not have.
func TestKernelFilters(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		loUp(t)
		for port := uint16(8000); port < 8010; port++ {
			hold(t, "tcp", netAddress(port))
			hold(t, "udp", netAddress(port))
		}
		for _, s := range listers(t) {
			for _, n := range []int{1, 2, maxRanges, maxRanges + 1, 2 * maxRanges} {
				var wanted, got Listening
				wanted.UDP.Add(8003)
				for i := range n {
					wanted.TCP.Add(uint16(7999 + 2*i))
				}
				if err := s.Scan(&got, &wanted); err != nil {
					t.Fatalf("%d ranges: %v", n, err)
				}
				want := *setOf(8001, 8003, 8005, 8007, 8009)
				want.Intersect(&wanted.TCP)
				if got.TCP != want || got.UDP != *setOf(8003) {
					t.Fatalf("%d ranges: other ports than those wanted and open", n)
				}
			}
		}
	})
}
