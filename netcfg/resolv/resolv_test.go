package resolv

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// cmpAddr compares addresses by value.
var cmpAddr = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

func addrs(list ...string) (out []netip.Addr) {
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func TestParse(t *testing.T) {
	tests := []struct {
		name, input string
		want        Conf
	}{
		{"empty", "", Conf{}},
		{"both families", "nameserver 1.1.1.1\nnameserver fd00::53\n", Conf{Servers: addrs("1.1.1.1", "fd00::53")}},
		{"no final newline", "nameserver 1.1.1.1", Conf{Servers: addrs("1.1.1.1")}},
		{"tab and many blanks", "nameserver\t1.1.1.1\nnameserver   1.0.0.1 \r\n", Conf{Servers: addrs("1.1.1.1", "1.0.0.1")}},
		{"comments", "# nameserver 9.9.9.9\nnameserver 1.0.0.1 # x\nnameserver 1.1.1.1;y\n", Conf{Servers: addrs("1.0.0.1", "1.1.1.1")}},
		{"zone", "nameserver fe80::1%eth0\n", Conf{Servers: addrs("fe80::1")}},
		{"loopback kept", "nameserver 127.0.0.53\n", Conf{Servers: addrs("127.0.0.53")}},
		{"IPv4-mapped", "nameserver ::ffff:1.2.3.4\n", Conf{Servers: addrs("1.2.3.4")}},
		{"leading blank", " nameserver 1.1.1.1\n\tsearch a.example\n", Conf{}},
		{"other words", "nameservers 1.1.1.1\noptions edns0\ndomain a.example\nsearching b\n", Conf{}},
		{"no value", "nameserver\nnameserver \nsearch\n", Conf{}},
		{"no address", "nameserver dns.example\nnameserver 1.2.3\n", Conf{}},
		{"unspecified and multicast", "nameserver 0.0.0.0\nnameserver ::\nnameserver 224.0.0.1\n", Conf{}},
		{
			"three of each family",
			"nameserver 1.0.0.1\nnameserver 1.0.0.2\nnameserver 1.0.0.3\nnameserver 1.0.0.4\nnameserver ::4\n",
			Conf{Servers: addrs("1.0.0.1", "1.0.0.2", "1.0.0.3", "::4")},
		},
		{"first search line", "search a.example b.example\nsearch c.example\n", Conf{Search: []string{"a.example", "b.example"}}},
		{"five search domains", "search a b c d e f\n", Conf{Search: []string{"a", "b", "c", "d", "e"}}},
		{"root only", "search .\nsearch a\n", Conf{Search: []string{}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse(strings.NewReader(tt.input))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmpAddr); diff != "" {
				t.Errorf("Parse (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseReportsReadErrors(t *testing.T) {
	broken := errors.New("broken")
	if _, err := Parse(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("Parse: got error %v, want %v", err, broken)
	}
}

func TestParseIsBoundedOnEndlessInput(t *testing.T) {
	c, err := Parse(endless{})
	if err != nil || len(c.Servers) != 0 {
		t.Errorf("Parse: got %v, %v, want nothing", c, err)
	}
}

// endless is a file of one line without end.
type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	if _, err := Read(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Read without file: got error %v, want %v", err, os.ErrNotExist)
	}
	if err := os.WriteFile(path, []byte("nameserver 1.1.1.1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Read(path)
	if err != nil || !cmp.Equal(c, Conf{Servers: addrs("1.1.1.1")}, cmpAddr) {
		t.Errorf("Read: got %v, %v, want 1.1.1.1", c, err)
	}
}

func TestFamily(t *testing.T) {
	list := addrs("1.1.1.1", "fd00::53", "9.9.9.9")
	if got := Family(list, false); !cmp.Equal(got, addrs("1.1.1.1", "9.9.9.9"), cmpAddr) {
		t.Errorf("IPv4: got %v", got)
	}
	if got := Family(list, true); !cmp.Equal(got, addrs("fd00::53"), cmpAddr) {
		t.Errorf("IPv6: got %v", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("nameserver 1.1.1.1 # x\nnameserver fe80::1%eth0\nsearch a.example b.example\n")
	f.Add("nameserver\t::ffff:127.0.0.1\r\nsearch .\nsearch")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if n := len(Family(c.Servers, false)); n > MaxServers {
			t.Errorf("%d IPv4 servers", n)
		}
		if n := len(Family(c.Servers, true)); n > MaxServers {
			t.Errorf("%d IPv6 servers", n)
		}
		if len(c.Search) > MaxSearch {
			t.Errorf("%d search domains", len(c.Search))
		}
		for _, a := range c.Servers {
			if a.Zone() != "" || a.IsUnspecified() {
				t.Errorf("server %v", a)
			}
		}
	})
}
