package sys

import (
	"fmt"
	"reflect"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// slabMin is the size in bytes from which memory is worth a mapping of its own.
const slabMin = 64 << 10

// Slab gives n zero values for owner, in memory straight from the kernel: for tables and
// buffers whose size is for the worst case. What is never touched costs nothing, for
// every owner: Go's allocator clears memory that it gives out again, and so touches it
// (cmd/pasta/daemon, TestHubMemory: 1.5 MB for each guest instead of 0.3).
//
// The memory goes back when the garbage collector finds that owner is unreachable, so
// the values may only be used by way of owner. T has no pointers: the collector
// does not look there. Running out of address space is a panic.
func Slab[T, O any](owner *O, n int) []T {
	t := reflect.TypeFor[T]()
	size := n * int(t.Size())
	if size < slabMin {
		return make([]T, n)
	}
	if hasPointers(t) {
		panic(fmt.Sprintf("slab of %v, which has pointers", t))
	}
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		panic(fmt.Sprintf("map %d bytes: %v", size, err))
	}
	runtime.AddCleanup(owner, func(b []byte) { _ = unix.Munmap(b) }, b)
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

// hasPointers tells whether the garbage collector would have to look into a T.
func hasPointers(t reflect.Type) bool {
	kind := t.Kind()
	if kind == reflect.Array {
		return t.Len() > 0 && hasPointers(t.Elem())
	}
	if kind != reflect.Struct {
		return kind < reflect.Bool || kind > reflect.Complex128 // what is between are numbers
	}
	for i := range t.NumField() {
		if hasPointers(t.Field(i).Type) {
			return true
		}
	}
	return false
}
