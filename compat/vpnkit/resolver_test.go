package vpnkit

import (
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/pasta-net/pasta/netcfg/resolv"
)

// told is an engine that hands on who the resolver is.
type told chan netip.Addr

func (c told) SetDNSHosts(v4, _ netip.Addr) error {
	c <- v4
	return nil
}

func (told) Wake() {}

func (c told) expect(t *testing.T, what, want string) {
	t.Helper()
	got := <-c
	if want == "" && got.IsValid() || want != "" && got.String() != want {
		t.Errorf("%s: told of %v, want %q", what, got, want)
	}
}

func TestResolverFollows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	write("nameserver 10.0.0.1\nnameserver 10.0.0.2\n")
	r := newResolver(slog.New(slog.DiscardHandler))
	e, gone := make(told), make(told)
	p, other := &port{}, &port{}
	r.engines[p], r.engines[other] = e, gone
	r.ended(other) // who is not told any more
	go r.follow(t.Context(), path)
	e.expect(t, "at the start", "10.0.0.1")
	e.expect(t, "when the file is first followed", "10.0.0.1")
	write("nameserver 10.0.0.2\n")
	e.expect(t, "after a change", "10.0.0.2")
	write("search example\n")
	e.expect(t, "without a resolver", "")
	if got := r.current(); got.IsValid() {
		t.Errorf("current resolver %v, want none", got)
	}
}

// TestResolverThatChangesMeanwhile: an engine whose configuration is out of date when it
// starts is told.
func TestResolverThatChangesMeanwhile(t *testing.T) {
	r := newResolver(slog.New(slog.DiscardHandler))
	r.set(resolv.Conf{Servers: []netip.Addr{addr("10.0.0.2")}})
	e := make(told)
	r.started(&port{}, e, addr("10.0.0.2"))
	r.started(&port{}, e, addr("10.0.0.1"))
	e.expect(t, "late", "10.0.0.2")
}
