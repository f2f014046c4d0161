package reasm

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
)

// A fuzz input is a list of steps, each one fragment of one of 16 packets:
//
//	control u8 | offset u16 (units) | length u16 (bytes)
//
// The lower half of control says which packet; the other bits are below.
const (
	stepLen   = 5
	maxSteps  = 256
	ctlMore   = 0x10
	ctlOther  = 0x20 // a byte of it differs from what its place says
	ctlLater  = 0x40 // half the timeout passes first
	ctlSpread = 0x80 // length and offset are of the whole range, not of some hundred bytes
	modelled  = 200  // a protocol without checksum
)

// model puts packets together without regard to time and memory.
type model struct {
	now  int64
	list map[uint32]*modelPacket
}

type modelPacket struct {
	born  int64
	dead  bool
	parts []packet.Fragment
}

// add gives the packet that f makes complete, or nil.
func (m *model) add(f packet.Fragment) []byte {
	if f.Offset == 0 && !f.More && f.ID%2 == 1 { // IPv6, and in IPv4 no fragment at all
		return f.Data
	}
	p := m.list[f.ID]
	if p == nil || m.now-p.born >= timeout {
		p = &modelPacket{born: m.now}
		m.list[f.ID] = p
	}
	if p.dead || p.has(&f) {
		return nil
	}
	for i := range p.parts {
		p.dead = p.dead || contradict(&p.parts[i], &f) || contradict(&f, &p.parts[i])
	}
	p.parts = append(p.parts, f)
	whole := p.whole()
	if p.dead || whole == nil {
		return nil
	}
	delete(m.list, f.ID)
	return whole
}

func (p *modelPacket) has(f *packet.Fragment) bool {
	for _, g := range p.parts {
		if g.Offset == f.Offset && g.More == f.More && bytes.Equal(g.Data, f.Data) {
			return true
		}
	}
	return false
}

// contradict tells whether a and b overlap, or b goes beyond a's end of the packet.
func contradict(a, b *packet.Fragment) bool {
	return a.Offset < b.End() && b.Offset < a.End() || !a.More && b.End() > a.End()
}

// whole is the data of all parts if none is missing.
func (p *modelPacket) whole() (b []byte) {
	for {
		found := false
		for _, f := range p.parts {
			if f.Offset != len(b) {
				continue
			}
			b, found = append(b, f.Data...), true
			if !f.More {
				return b
			}
		}
		if !found {
			return nil
		}
	}
}

// play sends the fragments of an input and compares with the model what comes of each.
func play(t *testing.T, input []byte) (wholes int) {
	t.Helper()
	h := newFixture(t, nil)
	m := model{list: map[uint32]*modelPacket{}}
	for n := 0; n < maxSteps && len(input) >= stepLen; n++ {
		f, later := stepFragment(input)
		input = input[stepLen:]
		if later {
			m.now += timeout / 2
			h.now = m.now
			h.Expire(h.now)
		}
		fam := coretest.Families[f.ID%2]
		if f.ID%2 == 0 && f.Offset == 0 && !f.More {
			continue // no fragment over IPv4
		}
		var want []byte
		if valid(&f) {
			want = m.add(f)
		}
		if got := h.send(coretest.Fragment(fam.Guest, fam.Gateway, &f)); got != (want != nil) {
			t.Fatalf("step %d, %d bytes at %d: complete %v, want %v", n, len(f.Data), f.Offset, got, want != nil)
		}
		if want != nil {
			wholes++
			if !bytes.Equal(h.p.L4, want) {
				t.Fatalf("step %d: whole of %d bytes differs from the model's of %d", n, len(h.p.L4), len(want))
			}
		}
	}
	h.Expire(m.now + timeout)
	if h.used() != 0 {
		t.Errorf("%d slots in use after the timeout", h.used())
	}
	return wholes
}

// stepFragment reads one step.
func stepFragment(b []byte) (f packet.Fragment, later bool) {
	control := b[0]
	offset, n := int(binary.BigEndian.Uint16(b[1:]))%units*unit, int(binary.BigEndian.Uint16(b[3:]))
	if control&ctlSpread == 0 {
		offset, n = offset%512, n%160
	}
	n = min(n, 65535-packet.IPv4Len-8)
	f = packet.Fragment{ID: uint32(control & 0xf), Proto: modelled, Offset: offset, More: control&ctlMore != 0}
	f.Data = text(offset + n)[offset:]
	if control&ctlOther != 0 && n > 0 {
		f.Data[n/2]++
	}
	return f, control&ctlLater != 0
}

// valid tells whether f can be a part of a packet.
func valid(f *packet.Fragment) bool {
	limit := 65535
	if f.ID%2 == 0 {
		limit -= packet.IPv4Len
	}
	return f.End() <= limit && (!f.More || len(f.Data)%unit == 0) && (len(f.Data) > 0 || f.Whole())
}

// randomInput cuts packets and sends their fragments in any order, some of them twice,
// changed, or not at all.
func randomInput(random *rand.Rand) (b []byte) {
	var steps [][]byte
	for id := range byte(16) {
		size := 1 + random.IntN(500)
		for at := 0; at < size; {
			n := min(unit*(1+random.IntN(8)), size-at)
			control := id
			if at+n < size {
				control |= ctlMore
			}
			step := binary.BigEndian.AppendUint16([]byte{control}, uint16(at/unit))
			step = binary.BigEndian.AppendUint16(step, uint16(n))
			at += n
			switch random.IntN(40) {
			case 0:
				steps = append(steps, bytes.Clone(step))
				step[0] |= ctlOther
			case 1:
				step[2]++ // a unit further on
			case 2:
				step[0] |= ctlLater
			case 3, 4:
				steps = append(steps, bytes.Clone(step))
			case 5:
				continue
			}
			steps = append(steps, step)
		}
	}
	random.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
	return bytes.Join(steps[:min(len(steps), maxSteps)], nil)
}

// TestModel compares with a reassembler that keeps fragments in a list.
func TestModel(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	wholes := 0
	for range 300 {
		wholes += play(t, randomInput(random))
	}
	if wholes < 1000 {
		t.Errorf("only %d packets completed: the inputs are not good enough", wholes)
	}
}

// FuzzFragments: whatever fragments come, packets are those of the model.
func FuzzFragments(f *testing.F) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 8 {
		f.Add(randomInput(random))
	}
	f.Add([]byte{ctlSpread | ctlMore, 0, 0, 0xff, 0xd0, ctlSpread, 0x1f, 0xfa, 0, 3})
	f.Fuzz(func(t *testing.T, input []byte) { play(t, input) })
}
