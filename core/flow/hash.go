package flow

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"
)

// Secret is a random key of SipHash-2-4 (Aumasson and Bernstein, 2012).
type Secret struct{ k0, k1 uint64 }

// NewSecret draws a key from the kernel's random source.
func NewSecret() Secret {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails on Linux since Go 1.24
	return Secret{binary.LittleEndian.Uint64(b[:8]), binary.LittleEndian.Uint64(b[8:])}
}

// ISN gives an initial sequence number for k at the monotonic time now in
// nanoseconds: a clock of 256 ns ticks plus a keyed hash (RFC 6528 section 3; RFC 9293
// section 3.4.1 asks for about 4 µs, faster clocks are allowed).
func (s *Secret) ISN(k *Key, now int64) uint32 {
	return uint32(k.hash(s)>>32) + uint32(now>>8)
}

// sum hashes five words, as SipHash does with a message of 40 bytes.
func (s *Secret) sum(words ...uint64) uint64 {
	v0, v1 := s.k0^0x736f6d6570736575, s.k1^0x646f72616e646f6d
	v2, v3 := s.k0^0x6c7967656e657261, s.k1^0x7465646279746573
	for _, m := range words {
		v3 ^= m
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
		v0 ^= m
	}
	last := uint64(len(words)*8) << 56
	v3 ^= last
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	v0 ^= last
	v2 ^= 0xff
	for range 4 {
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	}
	return v0 ^ v1 ^ v2 ^ v3
}

func sipRound(v0, v1, v2, v3 uint64) (uint64, uint64, uint64, uint64) {
	v0 += v1
	v1 = bits.RotateLeft64(v1, 13) ^ v0
	v0 = bits.RotateLeft64(v0, 32)
	v2 += v3
	v3 = bits.RotateLeft64(v3, 16) ^ v2
	v0 += v3
	v3 = bits.RotateLeft64(v3, 21) ^ v0
	v2 += v1
	v1 = bits.RotateLeft64(v1, 17) ^ v2
	v2 = bits.RotateLeft64(v2, 32)
	return v0, v1, v2, v3
}
