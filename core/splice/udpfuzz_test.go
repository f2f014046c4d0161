package splice

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/sys"
)

// udpTalk is what some clients and a server have said so far. Each datagram tells whose
// it is, its number and the run, the rest is a pattern.
type udpTalk struct {
	t *testing.T
	// run tells the datagrams of this talk from those of another: the fuzzer's workers
	// share one network namespace, where the port of a socket that one has closed may
	// be given to the other, and with it what is still sent there.
	run     uint64
	e       *udpEnv
	clients [3]peer
	// asked and answered are the numbers of datagrams by client, seen and back those of
	// the last ones that arrived at the server and at the client.
	asked, answered, seen, back [3]uint32
	one                         *sys.RecvBatch
	// ports tells whose datagrams came from which port of ours; reused: the kernel has
	// given one of a flow that was ended to another client's, which may get an answer
	// that the first one did not wait for.
	ports  map[uint16]int
	reused bool
}

const talkHeader = 13

func (u *udpTalk) datagram(client int, number uint32, size int) []byte {
	b := make([]byte, talkHeader+size)
	b[0] = byte(client)
	binary.BigEndian.PutUint32(b[1:], number)
	binary.BigEndian.PutUint64(b[5:], u.run)
	for i := range b[talkHeader:] {
		b[talkHeader+i] = pattern(i + int(number))
	}
	return b
}

// foreign tells whether a datagram is that of another talk.
func (u *udpTalk) foreign(b []byte) bool {
	return len(b) >= talkHeader && binary.BigEndian.Uint64(b[5:]) != u.run
}

// check reports a datagram that nobody sent, or an older one than the last.
func (u *udpTalk) check(b []byte, client int, sent uint32, last *uint32) {
	u.t.Helper()
	if len(b) < talkHeader || int(b[0]) != client {
		u.t.Fatalf("datagram % x at client %d", b[:min(len(b), 16)], client)
	}
	number := binary.BigEndian.Uint32(b[1:])
	if number <= *last || number > sent {
		u.t.Fatalf("client %d: datagram %d after %d, of %d", client, number, *last, sent)
	}
	if string(b) != string(u.datagram(client, number, len(b)-talkHeader)) {
		u.t.Fatalf("client %d: datagram %d has changed", client, number)
	}
	*last = number
}

// ask has client n send.
func (u *udpTalk) ask(n, size int) {
	u.asked[n]++
	_, _ = sys.Send(u.clients[n].fd, u.datagram(n, u.asked[n], size), sys.MsgNosignal|sys.MsgDontwait)
}

// answer has the server take what is there and answer each datagram, if it is open.
func (u *udpTalk) answer() {
	for {
		if _, errno := u.one.Recv(u.e.server, 1, 0); errno != 0 {
			return
		}
		b := u.one.Payload(0)
		if u.foreign(b) {
			continue
		}
		if len(b) < talkHeader || int(b[0]) >= len(u.clients) {
			u.t.Fatalf("the server got % x", b[:min(len(b), 16)])
		}
		n := int(b[0])
		u.check(b, n, u.asked[n], &u.seen[n])
		_, port := u.one.From(0).AddrPort()
		if before, ok := u.ports[port]; ok && before != n {
			u.reused = true
		}
		u.ports[port] = n
		u.answered[n]++
		sendTo(u.t, u.e.server, u.one.From(0).Netip(), string(u.datagram(n, u.answered[n], len(b)-talkHeader)))
	}
}

// hear has client n take what is there. It may be told that the target refuses.
func (u *udpTalk) hear(n int) {
	b := make([]byte, udpLen)
	for range 100 {
		k, errno := u.clients[n].read(b)
		if errno != 0 {
			return
		}
		if u.foreign(b[:k]) || u.reused && k > 0 && int(b[0]) != n {
			continue
		}
		u.check(b[:k], n, u.answered[n], &u.back[n])
	}
}

// question is what client 0 asks, with the answer that it gets.
var question = []byte{0x00, 0x07, 0x03, 0x07, 0x02}

// FuzzDatagrams runs sequences of what clients, a server, the forward and the clock may
// do, in any order: datagrams may be lost, but none is invented, changed, repeated or
// given to another client, and nothing leaks.
func FuzzDatagrams(f *testing.F) {
	f.Add(question)
	f.Add([]byte{0x00, 0x07, 0x03, 0x07, 0x02, 0x50, 0x61, 0x07, 0x03, 0x07, 0x02})
	f.Add([]byte{0x00, 0x07, 0x04, 0x00, 0x07, 0x03, 0x07, 0x02})
	f.Add([]byte{0x00, 0x08, 0x10, 0x07, 0x05, 0x00, 0x07, 0x05, 0x07, 0x06, 0x07})
	f.Add([]byte{0xf0, 0xf0, 0xe0, 0xf8, 0x07, 0x03, 0x07, 0x02, 0x0a})
	f.Fuzz(func(t *testing.T, ops []byte) { talk(t, ops) })
}

func TestDatagramSeed(t *testing.T) {
	if u := talk(t, question); u.seen[0] != 1 || u.back[0] != 1 {
		t.Errorf("datagram %d arrived there, %d back, want one each", u.seen[0], u.back[0])
	}
}

// talk runs one sequence.
func talk(t *testing.T, ops []byte) *udpTalk {
	t.Helper()
	e := newUDPEnv(t, fwd.Splice, "127.0.0.1", UDPOptions{MaxFlows: 2, OneWay: time.Second, Stream: time.Minute})
	u := &udpTalk{t: t, run: rand.Uint64(), e: e, one: sys.NewRecvBatch(1, udpLen), ports: make(map[uint16]int)}
	for n := range u.clients {
		u.clients[n] = e.client()
	}
	want := descriptors(t)
	for _, op := range ops[:min(len(ops), 64)] {
		u.step(op)
		if n := e.h.Len(); n > 2 {
			t.Fatalf("%d flows of 2", n)
		}
	}
	e.h.Close()
	for _, fd := range []int{e.listener, e.server} {
		if fd < 0 {
			want--
		}
	}
	if n := descriptors(t); n != want {
		t.Errorf("%d descriptors, want %d", n, want)
	}
	return u
}

// step does what op says: its low bits choose what, the high ones who or how much.
func (u *udpTalk) step(op byte) {
	e, n := u.e, int(op>>4)%len(u.clients)
	switch op & 0xf {
	case 0, 1:
		u.ask(n, int(op>>4)*8)
	case 2:
		u.hear(n)
	case 3:
		u.answer()
	case 4:
		if e.listener >= 0 {
			e.unlisten()
		}
	case 5:
		e.now += int64(op>>4) * int64(10*time.Second)
		e.h.Expire(e.now)
	case 6:
		e.sockets.left = int(op >> 4)
	case 8:
		e.sockets.left = 0
	case 9:
		e.sockets.left = 100
		e.h.Resume(e.now)
	case 10:
		if e.server >= 0 {
			sys.Close(e.server)
			e.server = -1
		}
	default:
		e.turn()
	}
}
