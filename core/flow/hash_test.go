package flow

import (
	"encoding/binary"
	"testing"
	"time"
)

// TestSipHashVectors holds sum to the test vectors of the reference
// implementation (vectors_sip64, key 00 01 ... 0f, message 00 01 02 ...), those of
// whole words.
func TestSipHashVectors(t *testing.T) {
	vectors := [][8]byte{
		{0x31, 0x0e, 0x0e, 0xdd, 0x47, 0xdb, 0x6f, 0x72},
		{0x62, 0x24, 0x93, 0x9a, 0x79, 0xf5, 0xf5, 0x93},
		{0xdb, 0x9b, 0xc2, 0x57, 0x7f, 0xcc, 0x2a, 0x3f},
		{0x94, 0xaf, 0x49, 0xf6, 0xc6, 0x50, 0xad, 0xb8},
		{0xce, 0x7c, 0xf2, 0x72, 0x2f, 0x51, 0x27, 0x71},
		{0xd0, 0xa7, 0x04, 0x53, 0x6b, 0xa9, 0x3e, 0x0e},
		{0x51, 0xa9, 0xcb, 0x9e, 0xcb, 0xa3, 0x12, 0xe6},
		{0xbd, 0x83, 0x8d, 0x3a, 0xaf, 0xbf, 0x8d, 0xb7},
	}
	s := Secret{0x0706050403020100, 0x0f0e0d0c0b0a0908}
	var words []uint64
	for n, vector := range vectors {
		if got, want := s.sum(words...), binary.LittleEndian.Uint64(vector[:]); got != want {
			t.Errorf("%d words: got %#x, want %#x", n, got, want)
		}
		var b [8]byte
		for i := range b {
			b[i] = byte(8*n + i)
		}
		words = append(words, binary.LittleEndian.Uint64(b[:]))
	}
}

// TestHashTakesEveryField: keys that differ in one field only differ in hash.
func TestHashTakesEveryField(t *testing.T) {
	s := Secret{1, 2}
	base := Key{GuestPort: 1, PeerPort: 2}
	seen := map[uint64]string{base.hash(&s): "base"}
	for name, change := range map[string]func(*Key){
		"start of guest": func(k *Key) { k.Guest[0] = 1 },
		"end of guest":   func(k *Key) { k.Guest[15] = 1 },
		"start of peer":  func(k *Key) { k.Peer[0] = 1 },
		"end of peer":    func(k *Key) { k.Peer[15] = 1 },
		"guest port":     func(k *Key) { k.GuestPort = 0x8001 },
		"peer port":      func(k *Key) { k.PeerPort = 0x8002 },
		"ports swapped":  func(k *Key) { k.GuestPort, k.PeerPort = 2, 1 },
	} {
		k := base
		change(&k)
		h := k.hash(&s)
		if other, dup := seen[h]; dup {
			t.Errorf("%s: same hash as %s", name, other)
		}
		seen[h] = name
	}
}

func TestISN(t *testing.T) {
	s := NewSecret()
	k := Key{GuestPort: 1}
	first := s.ISN(&k, 0)
	// RFC 6528 section 3: for one key the clock alone moves it, modulo 2^32.
	if got := s.ISN(&k, int64(time.Second)) - first; got != uint32(time.Second>>8) {
		t.Errorf("ISN moved by %d in a second, want %d", got, uint32(time.Second>>8))
	}
	if got := s.ISN(&k, 1<<40); got != first {
		t.Errorf("after 2^32 ticks: ISN %#x, want %#x again", got, first)
	}
	if other := (Key{GuestPort: 2}); s.ISN(&other, 0) == first {
		t.Error("another flow has the same ISN")
	}
	if another := NewSecret(); another == s || another.ISN(&k, 0) == first {
		t.Error("another secret gives the same ISN")
	}
}
