package portfwd

// PortSet is a set of ports. The zero value is empty.
type PortSet [1 << 16 / 64]uint64

// Add puts a port in.
func (s *PortSet) Add(port uint16) { s[port/64] |= 1 << (port % 64) }

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

// Subtract takes all ports of o out.
func (s *PortSet) Subtract(o *PortSet) {
	for i := range s {
		s[i] &^= o[i]
	}
}
