package daemon

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// endingPath is a data path that ends at once. It looks at the front's end of the
// ready pipe from inside.
type endingPath struct {
	t     *testing.T
	front *os.File
	err   error
}

func (p *endingPath) read(within time.Duration) error {
	if err := p.front.SetReadDeadline(time.Now().Add(within)); err != nil {
		p.t.Error(err)
	}
	_, err := p.front.Read(make([]byte, 1))
	return err
}

func (p *endingPath) Run() error {
	if err := p.read(10 * time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		p.t.Errorf("front while the path runs: got %v, want nothing yet", err)
	}
	return p.err
}

func (p *endingPath) Stop() {}

func (p *endingPath) Close() {
	if err := p.read(10 * time.Second); !errors.Is(err, io.EOF) {
		p.t.Errorf("front before the tap is closed: got %v, want EOF", err)
	}
}

func TestFrontWaitsForThePathButNotForTheTap(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		exit int
		want string
	}{
		{"stopped", nil, 0, ""},
		{"tap broken", errors.New("read from tap: cause"), 1, "ERROR:   Error on tap device, exiting err=read from tap: cause"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			var lines recorder
			s := &server{o: &Options{Foreground: true}, ready: w}
			s.log, s.queue = newLogger(s.o.slogLevel(), time.Now(), []sink{&lines})
			if got := s.run(&endingPath{t: t, front: r, err: tt.err}); got != tt.exit {
				t.Errorf("exit: got %d, want %d", got, tt.exit)
			}
			got := ""
			if len(lines.lines) > 0 {
				got = lines.lines[0]
			}
			if got != tt.want {
				t.Errorf("log: got %q, want %q", got, tt.want)
			}
		})
	}
}

// stubborn is a daemon that ends at the second SIGTERM.
const stubborn = `trap 'n=x$n; echo $n; [ $n = xx ] && exit' TERM; echo ready; while :; do sleep 0.01; done`

func TestSecondSignalReachesTheDaemon(t *testing.T) {
	c := exec.Command("sh", "-c", stubborn)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Scan()
	f := &front{daemon: c.Process.Pid, served: make(chan struct{}), signals: make(chan os.Signal, 1)}
	go func() {
		defer close(f.served)
		lines.Scan() // the first one has arrived
		f.signals <- syscall.SIGTERM
		lines.Scan()
	}()
	f.stopDaemon()
	if got := lines.Text(); got != "xx" {
		t.Errorf("signals to the daemon: got %q, want one x for each of two", got)
		_ = c.Process.Kill()
	}
	_ = c.Wait() // killed or not, nothing to learn
}

func TestChildrenAreReapedOnce(t *testing.T) {
	running := map[int]bool{}
	for range 2 {
		c := exec.Command("true")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		running[c.Process.Pid] = true
	}
	ended := make(chan int)
	go watchChildren(ended)
	for len(running) > 0 {
		pid := <-ended
		ws, ok := reap(pid)
		if ok != running[pid] || exitStatus(ws) != 0 {
			t.Errorf("child %d: got reaped %v with status %#x, want %v", pid, ok, ws, running[pid])
		}
		delete(running, pid)
	}
	if _, ok := reap(1); ok {
		t.Error("reaped a process that is no child")
	}
}
