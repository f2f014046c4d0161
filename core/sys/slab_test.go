package sys

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"
	"unsafe"
)

type owner struct{ a, b []uint64 }

func TestSlab(t *testing.T) {
	for _, n := range []int{0, 1, 100, slabMin / 8, 1 << 20} {
		o := &owner{}
		o.a = Slab[uint64](o, n)
		if len(o.a) != n {
			t.Fatalf("%d values, want %d", len(o.a), n)
		}
		for i := range o.a {
			if o.a[i] != 0 {
				t.Fatalf("value %d of %d is %d", i, n, o.a[i])
			}
			o.a[i] = uint64(i)
		}
		runtime.GC() // the owner is reachable: the memory stays
		if n > 0 && o.a[n-1] != uint64(n-1) {
			t.Errorf("last of %d values is %d", n, o.a[n-1])
		}
	}
}

// TestSlabGoesWithItsOwner: soon after, that is.
func TestSlabGoesWithItsOwner(t *testing.T) {
	o := &owner{}
	o.a, o.b = Slab[uint64](o, 1<<17), Slab[uint64](o, 1<<17)
	addr := uintptr(unsafe.Pointer(&o.a[0]))
	if !inMemory(t, addr) {
		t.Fatal("not mapped while in use")
	}
	runtime.KeepAlive(o)
	for end := time.Now().Add(5 * time.Second); inMemory(t, addr); runtime.GC() {
		if time.Now().After(end) {
			t.Fatal("still mapped")
		}
	}
}

// inMemory tells whether the process has memory at addr.
func inMemory(t *testing.T, addr uintptr) bool {
	t.Helper()
	b, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		var from, to uintptr
		if n, _ := fmt.Sscanf(string(line), "%x-%x", &from, &to); n == 2 && from <= addr && addr < to {
			return true
		}
	}
	return false
}

func TestSlabHasNoPointers(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a slab of slices")
		}
	}()
	o := &owner{}
	Slab[struct {
		n     int
		lists [2][]byte
	}](o, slabMin)
}
