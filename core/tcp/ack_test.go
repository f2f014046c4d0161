package tcp

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestDelayedAck(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	p.send(data(1, 1, "ping"))
	p.expect(pureAck(1, 5)) // nothing shows yet that an answer follows
	p.hostSends("pong")
	p.await(data(1, 5, "pong"))
	p.send(data(5, 5, "ping"))
	p.expect()
	p.advance(time.Duration(ackDelay - 1))
	p.expect()
	p.advance(1)
	p.expect(pureAck(5, 9))
	p.send(data(9, 5, "ping")) // the answer failed to come: no more delays
	p.expect(pureAck(5, 13))
}

func TestAckRidesOnAnswer(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	p.send(data(1, 1, "ping"))
	p.expect(pureAck(1, 5))
	p.hostSends("pong")
	p.await(data(1, 5, "pong"))
	p.send(data(5, 5, "ping"))
	p.hostSends("pong")
	p.await(data(5, 9, "pong"))
	p.advance(time.Second / 10)
	p.expect()
}

func TestEverySecondSegmentIsAcknowledged(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	p.send(data(1, 1, "ping"))
	p.hostSends("pong")
	p.await(pureAck(1, 5), data(1, 5, "pong"))
	full := strings.Repeat("x", 1460)
	p.send(data(5, 5, full))
	p.expect()
	p.send(data(1465, 5, full))
	p.expect(pureAck(5, 2925))
}

func TestChallengeAcksAreLimited(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	for range challengesPerSecond + 100 {
		p.inject(seg{flags: rst, seq: 100})
	}
	p.turn(0)
	if n := len(p.got()); n != challengesPerSecond {
		t.Errorf("%d challenges in a second, want %d", n, challengesPerSecond)
	}
	p.advance(time.Second)
	p.got()
	p.send(seg{flags: rst, seq: 100})
	p.expect(pureAck(1, 1))
}

// A refused acknowledgment is sent again, even if nothing else happens.
func TestRefusedAckComesLater(t *testing.T) {
	for _, times := range []int{1, 3} {
		p := newEnv(t, setup{}).outbound()
		p.Dev.Refuse(times, syscall.ENOBUFS)
		p.send(data(1, 1, "data"))
		p.expect()
		p.advance(time.Second)
		p.expect(pureAck(1, 5))
	}
}
