// Package seqnum does arithmetic on TCP sequence numbers, modulo 2^32 (RFC 9293
// section 3.4). Leaf package; pure functions.
package seqnum

// Value is a sequence number.
type Value uint32

// Size is a count of bytes between two sequence numbers.
type Size uint32

// LessThan tells whether v comes before w.
func (v Value) LessThan(w Value) bool { return int32(v-w) < 0 }

// LessThanEq tells whether v comes before w or equals it.
func (v Value) LessThanEq(w Value) bool { return int32(v-w) <= 0 }

// InRange tells whether v is in [a, b).
func (v Value) InRange(a, b Value) bool { return v-a < b-a }

// InWindow tells whether v is in the window of size bytes that starts at first.
func (v Value) InWindow(first Value, size Size) bool { return v-first < Value(size) }

// Add gives the number that is s after v.
func (v Value) Add(s Size) Value { return v + Value(s) }

// Sub gives the distance from w to v; v must not come before w.
func (v Value) Sub(w Value) Size { return Size(v - w) }

// Max gives the later one of v and w.
func Max(v, w Value) Value {
	if v.LessThan(w) {
		return w
	}
	return v
}
