package reasm

// units is how many fragment units the data of the longest packet has.
const units = (maxData + unit - 1) / unit

// bitmap is a set of fragment units.
type bitmap [units / 64]uint64

// has tells whether unit i is in the set.
func (m *bitmap) has(i int) bool { return m[i/64]>>(i%64)&1 != 0 }

// any tells whether one of the units from to below to is in the set.
func (m *bitmap) any(from, to int) bool {
	for w := from / 64; w*64 < to; w++ {
		if m[w]&mask(w, from, to) != 0 {
			return true
		}
	}
	return false
}

// add puts the units from to below to into the set.
func (m *bitmap) add(from, to int) {
	for w := from / 64; w*64 < to; w++ {
		m[w] |= mask(w, from, to)
	}
}

// mask is what word w of a bitmap has of the units from to below to, which it has
// some of.
func mask(w, from, to int) uint64 {
	low, high := max(from-w*64, 0), min(to-w*64, 64)
	return ^uint64(0) << low & (^uint64(0) >> (64 - high))
}
