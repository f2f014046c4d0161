package tcp

import (
	"io"
	"math/rand/v2"
	"testing"
)

// piece is the part of a pattern that has sequence numbers from seq to before end;
// with a FIN if f says so.
func piece(seq, end int, f uint8) seg {
	return seg{flags: ack | f, seq: seq, ack: 1, wnd: 65535, data: pattern(seq, end-seq)}
}

func TestEarlySegments(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   []seg // one batch each
		// What the guest has learnt at last, and how many bytes the host got.
		acked int
		read  int
	}{
		{"one", []seg{piece(11, 21, 0)}, 1, 0},
		{"two that touch", []seg{piece(11, 21, 0), piece(21, 31, 0)}, 1, 0},
		{"two that touch, the second first", []seg{piece(21, 31, 0), piece(11, 21, 0)}, 1, 0},
		{"two apart", []seg{piece(11, 21, 0), piece(31, 41, 0)}, 1, 0},
		{"two apart, the second first", []seg{piece(31, 41, 0), piece(11, 21, 0)}, 1, 0},
		{"one twice", []seg{piece(11, 21, 0), piece(31, 41, 0), piece(11, 21, 0)}, 1, 0},
		{"overlap at the end", []seg{piece(11, 21, 0), piece(15, 31, 0)}, 1, 0},
		{"overlap at the begin", []seg{piece(15, 31, 0), piece(11, 21, 0)}, 1, 0},
		{"inside another", []seg{piece(11, 31, 0), piece(15, 21, 0)}, 1, 0},
		{"around others", []seg{piece(15, 18, 0), piece(21, 25, 0), piece(11, 31, 0)}, 1, 0},
		{"five apart", []seg{
			piece(51, 56, 0), piece(11, 16, 0), piece(31, 36, 0), piece(41, 46, 0), piece(21, 26, 0),
		}, 1, 0},
		{"filled", []seg{piece(11, 21, 0), piece(1, 11, 0)}, 21, 20},
		{"filled, more than needed", []seg{piece(11, 21, 0), piece(1, 15, 0)}, 21, 20},
		{"filled beyond it", []seg{piece(11, 21, 0), piece(1, 31, 0)}, 31, 30},
		{"the first gap filled", []seg{piece(11, 21, 0), piece(31, 41, 0), piece(1, 11, 0)}, 21, 20},
		{"filled in parts", []seg{piece(11, 21, 0), piece(1, 5, 0), piece(5, 11, 0)}, 21, 20},
		{"FIN beyond the gap", []seg{piece(11, 21, fin), piece(1, 11, 0)}, 22, 20},
		{"FIN alone beyond the gap", []seg{piece(21, 21, fin), piece(11, 21, 0), piece(1, 11, 0)}, 22, 20},
		{"FIN that data follows", []seg{piece(11, 15, fin), piece(11, 21, 0), piece(1, 11, 0)}, 21, 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newEnv(t, setup{opts: Options{HeldChunks: 128}}).outbound()
			for _, s := range tt.in {
				p.send(s)
				_, c := p.live()
				checkEarly(t, p.h, c)
			}
			list := p.got()
			if got := list[len(list)-1].ack; got != tt.acked {
				t.Errorf("acknowledged %d, want %d", got, tt.acked)
			}
			p.hostGets(pattern(1, tt.read))
			if tt.acked > tt.read+1 {
				p.hostGetsEnd(io.EOF)
			}
		})
	}
}

// A guest counts duplicates.
func TestEarlySegmentsAreAnsweredAtOnce(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	p.send(piece(11, 21, 0), piece(21, 31, 0))
	p.expect(pureAck(1, 1), pureAck(1, 1))
	p.send(piece(1, 11, 0))
	p.expect(pureAck(1, 31))
	p.hostGets(pattern(1, 30))
}

func TestEarlyDataIsBounded(t *testing.T) {
	for _, tt := range []struct {
		name       string
		chunks     int // of the pool
		apart, end int // segments
		want       int // chunks
	}{
		{"by the connection", 128, 2, 60, maxEarly},
		{"by the pool", 16, 2, 60, 4},
		{"by a pool of one", 1, 2, 60, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newEnv(t, setup{opts: Options{HeldChunks: tt.chunks}}).outbound()
			for seq := 3; seq < tt.end; seq += tt.apart {
				p.send(piece(seq, seq+1, 0))
			}
			_, c := p.live()
			if got := checkEarly(t, p.h, c); got != tt.want {
				t.Errorf("%d chunks, want %d", got, tt.want)
			}
			p.got()
			p.send(piece(1, tt.end, 0))
			p.expect(pureAck(1, tt.end))
			p.hostGets(pattern(1, tt.end-1))
			checkEarly(t, p.h, c)
		})
	}
}

func TestEarlyDataGoesWithItsConnection(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(p *peer)
	}{
		{"RST by the guest", func(p *peer) { p.send(seg{flags: rst, seq: 1}) }},
		{"the handler closes", func(p *peer) { p.h.Close() }},
		{"the host resets", func(p *peer) {
			p.hostResets()
			p.until("the end of the connection", func() bool { return p.h.Len() == 0 })
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newEnv(t, setup{}).outbound()
			free := p.h.pool.left
			p.send(piece(11, 21, 0), piece(31, 41, 0))
			if got := free - p.h.pool.left; got != 2 {
				t.Fatalf("%d chunks in use, want 2", got)
			}
			tt.end(p)
			if p.h.Len() != 0 || p.h.pool.left != free {
				t.Errorf("%d connections, %d of %d chunks free", p.h.Len(), p.h.pool.left, free)
			}
		})
	}
}

// Segments of any order and length make the stream that they were cut from.
func TestEarlySegmentsInAnyOrder(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 7))
		p := newEnv(t, setup{}).outbound()
		_, c := p.live()
		for got := 1; got < 60001; got = int(c.rcvNxt - p.iss) {
			seq := max(1, got-2000) + rng.IntN(10000)
			end := min(60001, seq+1+rng.IntN(5000))
			if seq >= end || rng.IntN(8) == 0 {
				seq, end = got, min(60001, got+1000)
			}
			p.send(piece(seq, end, 0))
			checkEarly(t, p.h, c)
		}
		p.hostGets(pattern(1, 60000))
		p.send(seg{flags: fin | ack, seq: 60001, ack: 1, wnd: 65535})
		p.hostGetsEnd(io.EOF)
	}
}
