package portfwd

// PortSet is a set of ports. The zero value is empty.
type PortSet [1 << 16 / 64]uint64

// Add puts a port in.
func (s *PortSet) Add(port uint16) { s[port/64] |= 1 << (port % 64) }

// AddRange puts the ports first to last in.
func (s *PortSet) AddRange(first, last uint16) {
	for i := int(first / 64); i <= int(last/64); i++ {
		word := ^uint64(0)
		if i == int(first/64) {
			word &= ^uint64(0) << (first % 64)
		}
		if i == int(last/64) {
			word &= ^uint64(0) >> (63 - last%64)
		}
		s[i] |= word
	}
}

// Remove takes a port out.
func (s *PortSet) Remove(port uint16) { s[port/64] &^= 1 << (port % 64) }

// Has tells whether port is in the set.
func (s *PortSet) Has(port uint16) bool { return s[port/64]>>(port%64)&1 != 0 }

// Union adds all ports of o.
func (s *PortSet) Union(o *PortSet) {
	for i := range s {
		s[i] |= o[i]
	}
}

// Intersect leaves only ports of o.
func (s *PortSet) Intersect(o *PortSet) {
	for i := range s {
		s[i] &= o[i]
	}
}

// Subtract takes all ports of o out.
func (s *PortSet) Subtract(o *PortSet) {
	for i := range s {
		s[i] &^= o[i]
	}
}
