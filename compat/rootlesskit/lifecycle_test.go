package rootlesskit

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/rootless-containers/rootlesskit/v3/pkg/port"

	"github.com/pasta-net/pasta/netcfg/netns"
	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

// TestRunsLeaveNothing: a driver may run again, and no run leaves descriptors.
func TestRunsLeaveNothing(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		netnstest.IP(t, "link set lo up\n")
		path, thread := namespace(t)
		parent, err := NewParentDriver(t.Output(), t.TempDir(), true)
		if err != nil {
			t.Fatal(err)
		}
		p := &pair{t: t, parent: parent, ns: thread}
		p.serveTCP("127.0.0.1:80")
		before := 0
		for n := range 5 {
			ready, quit, ended := make(chan struct{}), make(chan struct{}), make(chan error)
			go func() { ended <- NewChildDriver(t.Output()).RunChildDriver(parent.OpaqueForChild(), quit, path) }()
			go func() { ended <- parent.RunParentDriver(ready, quit, nil) }()
			select {
			case <-ready:
			case err := <-ended:
				t.Fatalf("a driver ended with %v", err)
			}
			if id := p.add(port.Spec{Proto: "tcp", ParentPort: 8080, ChildPort: 80}); id != n+1 {
				t.Errorf("ID %d, want %d: they go on", id, n+1)
			}
			if got, err := ask("127.0.0.1:8080", "question"); err != nil || got != "127.0.0.1\nquestion" {
				t.Errorf("answer %q, %v", got, err)
			}
			for range 2 {
				quit <- struct{}{}
				if err := <-ended; err != nil {
					t.Error(err)
				}
			}
			if before == 0 {
				before = descriptors(t)
			}
			// The service closes its end in its own time.
			for end := time.Now().Add(10 * time.Second); descriptors(t) > before; {
				if time.Now().After(end) {
					t.Fatalf("%d descriptors after run %d, want %d", descriptors(t), n+1, before)
				}
			}
		}
	})
}

// descriptors counts those of this process.
func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestInfo(t *testing.T) {
	d, err := NewParentDriver(io.Discard, t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	info, err := d.Info(t.Context())
	if err != nil || info.Driver != "pasta" || len(info.Protos) != 6 || info.DisallowLoopbackChildIP {
		t.Errorf("info %+v, %v", info, err)
	}
	if _, err := d.AddPort(t.Context(), port.Spec{Proto: "tcp", ParentPort: 8080, ChildPort: 80}); !errors.Is(err, errNotRunning) {
		t.Errorf("AddPort before the run: %v, want %v", err, errNotRunning)
	}
}

// TestQuitBeforeTheChildComes: also when somebody else came, or the child left.
func TestQuitBeforeTheChildComes(t *testing.T) {
	d, err := NewParentDriver(io.Discard, t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	for _, says := range []string{"", "x"} {
		c, err := net.Dial("unix", d.OpaqueForChild()[socketKey])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, says); err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
	quit, ended := make(chan struct{}), make(chan error)
	go func() { ended <- d.RunParentDriver(make(chan struct{}), quit, nil) }()
	quit <- struct{}{}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestChildWithoutParent(t *testing.T) {
	path := t.TempDir()
	for name, opaque := range map[string]map[string]string{
		"no path": nil, "nobody there": {socketKey: path + "/none"},
	} {
		if err := NewChildDriver(io.Discard).RunChildDriver(opaque, nil, ""); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	opaque := map[string]string{socketKey: path + "/none"}
	if err := NewChildDriver(io.Discard).RunChildDriver(opaque, nil, os.DevNull); !errors.Is(err, netns.ErrNotNetns) {
		t.Errorf("no namespace: %v, want %v", err, netns.ErrNotNetns)
	}
}
