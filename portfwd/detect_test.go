package portfwd

import (
	"errors"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

const (
	// detections of each kind are made at the same time, at any moment of a scan's
	// second.
	detections = 50
	// detectLimit is what nearly all of them may take: a scan and a half.
	detectLimit = scanEvery * 3 / 2
	// lookEvery is how often somebody looks, so that 2 times detections can.
	lookEvery = 20 * time.Millisecond
)

// place is one of the two namespaces of a run.
type place func(func() error) error

// TestServicesAreFoundInTime: a service that starts in one namespace answers in the
// other within a scan and a half, and one that ends is gone there as fast.
func TestServicesAreFoundInTime(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		loUp(t)
		ns := newNamespace(t)
		m := startRun(t, ns)
		forward(t, m, "-t", "auto", "-T", "auto")
		const tries = 3 // the machine may stand still for a while
		for try := range uint16(tries) {
			first := 10000 + try*2*detections
			var took [4][detections]time.Duration // found and gone, by direction
			var all sync.WaitGroup
			for i := range uint16(detections) {
				all.Go(func() { took[0][i], took[1][i] = detect(t, ns.Do, here, first+i, i) })
				all.Go(func() { took[2][i], took[3][i] = detect(t, here, ns.Do, first+detections+i, i) })
			}
			all.Wait()
			if late(t, &took) == 0 || t.Failed() {
				return
			}
		}
		t.Errorf("not within %v in any of %d tries", detectLimit, tries)
	})
}

// late counts the kinds of which more than one in 50 took too long.
func late(t *testing.T, took *[4][detections]time.Duration) (n int) {
	t.Helper()
	for kind, what := range [4]string{
		"found on the host", "gone from the host", "found in the namespace", "gone from the namespace",
	} {
		list := took[kind][:]
		slices.Sort(list)
		p99 := list[detections-2]
		t.Logf("%s: median %v, 99 %% within %v", what, list[detections/2], p99)
		if p99 > detectLimit {
			n++
		}
	}
	return n
}

// detect starts a service on a port of one place and tells how long it took until it
// answered at the other, and after its end until nobody did. i spreads the beginning
// over the time between two scans.
func detect(t *testing.T, service, client place, port, i uint16) (found, gone time.Duration) {
	time.Sleep(time.Duration(i) * scanEvery / detections)
	var l net.Listener
	if err := service(func() (err error) {
		l, err = net.Listen("tcp", netAddress(port))
		return err
	}); err != nil {
		t.Error(err)
		return 0, 0
	}
	go serveOnce(l)
	found = until(func() bool { return answers(client, port) == nil })
	_ = l.Close()
	gone = until(func() bool { return errors.Is(answers(client, port), syscall.ECONNREFUSED) })
	return found, gone
}

// serveOnce says something to each client.
func serveOnce(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = c.Write([]byte("!"))
		_ = c.Close()
	}
}

// until tells how long it took until ok.
func until(ok func() bool) time.Duration {
	start := time.Now()
	for !ok() && time.Since(start) < time.Minute {
		time.Sleep(lookEvery)
	}
	return time.Since(start)
}

// answers tells whether a service says something to a client at a place, or what comes
// instead.
func answers(client place, port uint16) error {
	var c net.Conn
	if err := client(func() (err error) {
		c, err = net.Dial("tcp", netAddress(port))
		return err
	}); err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	_, err := c.Read(make([]byte, 1))
	return err
}
