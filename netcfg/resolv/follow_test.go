package resolv

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestFollow checks that changes are seen however they are made: in place, by a new
// file under the name, in a file that it is a link to, and by another link.
func TestFollow(t *testing.T) {
	dir := t.TempDir()
	path, elsewhere := filepath.Join(dir, "resolv.conf"), filepath.Join(t.TempDir(), "stub.conf")
	write(t, path, "nameserver 192.0.2.1\n")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	seen := make(chan netip.Addr, 100)
	go func() {
		defer close(ended)
		Follow(ctx, path, func(c Conf) {
			if len(c.Servers) > 0 {
				seen <- c.Servers[0]
			}
		})
	}()
	for _, tt := range []struct {
		name, server string
		change       func(text string) error
	}{
		{"in place", "192.0.2.2", func(text string) error { return os.WriteFile(path, []byte(text), 0o600) }},
		{"replaced", "192.0.2.3", func(text string) error {
			write(t, path+".new", text)
			return os.Rename(path+".new", path)
		}},
		{"link", "192.0.2.4", func(text string) error {
			write(t, elsewhere, text)
			_ = os.Remove(path)
			return os.Symlink(elsewhere, path)
		}},
		{"by another name of the same file", "192.0.2.6", func(text string) error {
			other := elsewhere + ".other" // as a mount is, which takes rights
			if err := os.Link(elsewhere, other); err != nil {
				return err
			}
			return os.WriteFile(other, []byte(text), 0o600)
		}},
		{"behind the link", "192.0.2.5", func(text string) error { return os.WriteFile(elsewhere, []byte(text), 0o600) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.change("nameserver " + tt.server + "\n"); err != nil {
				t.Fatal(err)
			}
			limit := time.After(10 * time.Second)
			for want := netip.MustParseAddr(tt.server); ; {
				select {
				case got := <-seen:
					if got == want {
						return
					}
				case <-limit:
					t.Fatalf("%v was not seen", want)
				}
			}
		})
	}
	cancel()
	<-ended
}
