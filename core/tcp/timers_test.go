package tcp

import (
	"syscall"
	"testing"
	"time"
)

func TestKeepAlive(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	p.got()
	probe := pureAck(0, 1)
	p.advance(time.Duration(keepIdle - 1))
	p.expect()
	p.advance(1)
	p.expect(probe)
	p.advance(time.Duration(keepInterval))
	p.expect(probe)
	p.send(pureAck(1, 1))
	p.advance(time.Duration(keepIdle - 1))
	p.expect()
	p.advance(1)
	p.expect(probe)
	p.send(seg{flags: rst, seq: 1}) // a guest that has forgotten
	p.hostGetsEnd(syscall.ECONNRESET)
}

func TestInactiveConnectionEnds(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	p.advance(time.Duration(idleLimit) - time.Second)
	checkState(t, p.env, established)
	p.advance(time.Minute)
	p.hostGetsEnd(syscall.ECONNRESET)
	p.expectGone()
}

// A process that was stopped for long must not make up for all the probes.
func TestOneProbeAfterLongStop(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	p.got()
	p.Now += int64(time.Hour)
	p.turn(0)
	p.expect(pureAck(0, 1))
}

func TestIdleConnectionRarelyWakes(t *testing.T) {
	p := newEnv(t, setup{}).outbound()
	p.send(data(1, 1, "ping"))
	p.hostSends("pong")
	p.await(pureAck(1, 5), data(1, 5, "pong"))
	p.send(pureAck(5, 5))
	p.advance(time.Second)
	p.expect()
	wakes := 0
	for end := p.Now + int64(10*time.Minute); p.h.NextDeadline() < end; wakes++ {
		p.Now = p.h.NextDeadline()
		p.turn(0)
		if len(p.got()) > 0 {
			p.send(pureAck(5, 5))
		}
	}
	if wakes > 20 {
		t.Errorf("%d wake-ups in 10 idle minutes", wakes)
	}
}
