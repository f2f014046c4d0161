package daemon

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pasta-net/pasta/compat/service"
	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/tap"
)

// steps records what a Runner calls.
type steps struct {
	t    *testing.T
	done []string
	// fail is the step that gives an error.
	fail string
}

func (s *steps) step(name string) error {
	s.done = append(s.done, name)
	if name == s.fail {
		return errors.New(name + " is broken")
	}
	return nil
}

func (s *steps) open() (service.Link, error) {
	return service.Link{Device: coretest.NewMemTap(s.t, coretest.AllFeatures)}, s.step("open")
}

func (s *steps) newServer(r service.Run) (service.Server, error) {
	if r.Ports == nil || r.Engine == nil || r.Log == nil {
		s.t.Errorf("server is given %+v", r)
	}
	return s, s.step("server")
}

// Serve implements service.Server.
func (*steps) Serve(ctx context.Context) { <-ctx.Done() }

// stderrOf gives what f writes to standard error.
func stderrOf(t *testing.T, f func()) string {
	t.Helper()
	name := t.TempDir() + "/stderr"
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	old := os.Stderr
	os.Stderr = file
	f()
	os.Stderr = old
	file.Close()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestServe(t *testing.T) {
	all := []string{"open", "server", "confine", "ready", "until"}
	for _, tt := range []struct {
		fail string
		done []string
		exit int
		text string
	}{
		{"", all, 0, ""},
		{"open", all[:1], 1, "open is broken\n"},
		{"server", all[:2], 1, "server is broken\n"},
		{"confine", all[:3], 1, "confine is broken\n"},
		{"ready", all[:4], 1, "ready is broken\n"},
	} {
		t.Run("error of "+tt.fail, func(t *testing.T) {
			s := &steps{t: t, fail: tt.fail}
			exit := -1
			text := stderrOf(t, func() {
				exit = Serve(&service.Service{
					Level: slog.LevelError, Config: config.Config{TCP: true}, Open: s.open,
					Servers: []service.NewServer{s.newServer},
					Confine: func() error { return s.step("confine") },
					Ready:   func() error { return s.step("ready") },
					Until:   func() { _ = s.step("until") },
				})
			})
			if exit != tt.exit || !slices.Equal(s.done, tt.done) || text != tt.text {
				t.Errorf("Serve = %d after %q, telling %q, want %d after %q, telling %q", exit, s.done, text, tt.exit, tt.done, tt.text)
			}
		})
	}
}

// brokenLink is a device that reports a hang-up.
type brokenLink struct {
	tap.Null
	pipe *os.File
}

// FD implements tap.Device.
func (b brokenLink) FD() int { return int(b.pipe.Fd()) }

func TestServeEndsWithTheLink(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w.Close()
	text := stderrOf(t, func() {
		exit := Serve(&service.Service{Open: func() (service.Link, error) {
			return service.Link{Device: brokenLink{pipe: r}}, nil
		}})
		if exit != 1 {
			t.Errorf("exit: got %d, want 1", exit)
		}
	})
	if !strings.HasPrefix(text, "read from tap: ") {
		t.Errorf("stderr: got %q, want the error of the link", text)
	}
}
