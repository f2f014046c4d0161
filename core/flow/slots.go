package flow

// Slots holds objects with a descriptor that come and go at run time but rarely,
// such as listeners: under stable indices, with generations that tell events of
// an earlier user of a slot. The zero value is empty. It belongs to the event loop
// goroutine. At does not allocate.
type Slots[T any] struct {
	items []slotItem[T]
	free  []uint32
	byFD  map[int]uint32
}

type slotItem[T any] struct {
	value T
	fd    int // -1: the slot is free
	gen   uint16
}

// Add gives fd, which must not be in s already, a slot with a zero value, valid
// until the next Add. The caller fills it in.
func (s *Slots[T]) Add(fd int) (i uint32, gen uint16, value *T) {
	if s.byFD == nil {
		s.byFD = map[int]uint32{}
	}
	if n := len(s.free); n > 0 {
		i = s.free[n-1]
		s.free = s.free[:n-1]
	} else {
		i = uint32(len(s.items))
		s.items = append(s.items, slotItem[T]{})
	}
	it := &s.items[i]
	it.fd = fd
	s.byFD[fd] = i
	return i, it.gen, &it.value
}

// At is the object in slot i; nil if that is not in use, or not by the user with
// generation gen.
func (s *Slots[T]) At(i uint32, gen uint16) *T {
	if int(i) >= len(s.items) || s.items[i].gen != gen || s.items[i].fd < 0 {
		return nil
	}
	return &s.items[i].value
}

// Find gives the slot of a descriptor.
func (s *Slots[T]) Find(fd int) (i uint32, ok bool) {
	i, ok = s.byFD[fd]
	return i, ok
}

// Value is the object in slot i, which is in use.
func (s *Slots[T]) Value(i uint32) *T { return &s.items[i].value }

// Gen is the generation of slot i.
func (s *Slots[T]) Gen(i uint32) uint16 { return s.items[i].gen }

// Remove frees slot i, which is in use. The descriptor stays open.
func (s *Slots[T]) Remove(i uint32) {
	it := &s.items[i]
	delete(s.byFD, it.fd)
	*it = slotItem[T]{fd: -1, gen: it.gen + 1}
	s.free = append(s.free, i)
}

// Len is the number of slots in use.
func (s *Slots[T]) Len() int { return len(s.byFD) }

// All calls f for every slot in use. f may remove that slot.
func (s *Slots[T]) All(f func(i uint32, fd int)) {
	for i := range s.items {
		if fd := s.items[i].fd; fd >= 0 {
			f(uint32(i), fd)
		}
	}
}
