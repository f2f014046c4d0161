package sys

import (
	"bytes"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// pipe makes a non-blocking pipe that is closed with the test.
func pipe(t testing.TB) (r, w int) {
	t.Helper()
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { Close(p[0]); Close(p[1]) })
	return p[0], p[1]
}

func TestReadAndWrite(t *testing.T) {
	r, w := pipe(t)
	b := make([]byte, 16)
	if _, errno := Read(r, b); errno != unix.EAGAIN {
		t.Errorf("Read of an empty pipe: %v, want EAGAIN", errno)
	}
	if n, errno := Write(w, []byte("one ")); n != 4 || errno != 0 {
		t.Errorf("Write = %d, %v", n, errno)
	}
	for _, parts := range [][2]string{{"two ", "three "}, {"", "four "}, {"five", ""}} {
		if n, errno := Write2(w, []byte(parts[0]), []byte(parts[1])); n != len(parts[0])+len(parts[1]) || errno != 0 {
			t.Errorf("Write2(%q) = %d, %v", parts, n, errno)
		}
	}
	b = make([]byte, 64)
	if n, errno := Read(r, b); string(b[:n]) != "one two three four five" || errno != 0 {
		t.Errorf("Read = %q, %v", b[:n], errno)
	}
	if _, errno := Read(-1, b); errno != unix.EBADF {
		t.Errorf("Read of no descriptor: %v, want EBADF", errno)
	}
}

func TestIovecs(t *testing.T) {
	v := NewIovecs(3)
	if v.Full() || v.Len() != 0 || v.Count() != 0 {
		t.Errorf("new list: full %v, %d bytes in %d slices", v.Full(), v.Len(), v.Count())
	}
	for _, s := range []string{"ab", "", "cde"} {
		v.Add([]byte(s))
	}
	if !v.Full() || v.Len() != 5 || v.Count() != 3 {
		t.Errorf("after three slices: full %v, %d bytes in %d slices", v.Full(), v.Len(), v.Count())
	}
	r, w := pipe(t)
	if _, errno := SendIovecs(w, &v, 0); errno != unix.ENOTSOCK {
		t.Errorf("SendIovecs on a pipe: %v, want ENOTSOCK", errno)
	}
	_ = r
	v.Reset()
	if v.Full() || v.Len() != 0 || v.Count() != 0 {
		t.Errorf("after Reset: full %v, %d bytes in %d slices", v.Full(), v.Len(), v.Count())
	}
}

func TestIovecsTail(t *testing.T) {
	tests := []struct {
		name   string
		slices []string
		skip   int
		room   int
		want   string
	}{
		{"nothing sent", []string{"ab", "cde"}, 0, 9, "abcde"},
		{"part of the first", []string{"ab", "cde"}, 1, 9, "bcde"},
		{"all of the first", []string{"ab", "cde"}, 2, 9, "cde"},
		{"part of the second", []string{"ab", "cde", "f"}, 4, 9, "ef"},
		{"all", []string{"ab", "cde"}, 5, 9, ""},
		{"more than all", []string{"ab"}, 7, 9, ""},
		{"empty slices", []string{"", "ab", "", "c"}, 2, 9, "c"},
		{"no slices", nil, 0, 9, ""},
		{"short of room", []string{"ab", "cde"}, 1, 3, "bcd"},
		{"no room", []string{"ab"}, 0, 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := NewIovecs(len(tt.slices))
			for _, s := range tt.slices {
				v.Add([]byte(s))
			}
			dst := make([]byte, tt.room)
			if n := v.Tail(tt.skip, dst); string(dst[:n]) != tt.want {
				t.Errorf("Tail(%d) = %q, want %q", tt.skip, dst[:n], tt.want)
			}
		})
	}
}

func TestSockAddrRoundTrip(t *testing.T) {
	tests := []struct {
		name, addr string
		scope      uint32
		family     int
	}{
		{"IPv4", "10.1.2.3:80", 0, unix.AF_INET},
		{"IPv4 any, highest port", "0.0.0.0:65535", 0, unix.AF_INET},
		{"IPv6", "[2001:db8::1]:443", 0, unix.AF_INET6},
		{"IPv6 any", "[::]:0", 0, unix.AF_INET6},
		{"link-local", "[fe80::1]:546", 7, unix.AF_INET6},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := netip.MustParseAddrPort(tt.addr)
			a16 := want.Addr().As16()
			s := MakeSockAddr(a16, want.Port(), tt.scope)
			addr, port := s.AddrPort()
			if addr != a16 || port != want.Port() || s.Scope() != tt.scope || s.Netip() != want {
				t.Errorf("got %v port %d scope %d, %v, want %v scope %d", addr, port, s.Scope(), s.Netip(), want, tt.scope)
			}
			if Family(a16) != tt.family || s.Family() != tt.family {
				t.Errorf("family %d and %d, want %d", Family(a16), s.Family(), tt.family)
			}
		})
	}
	var unknown SockAddr
	if addr, port := unknown.AddrPort(); addr != [16]byte{} || port != 0 || unknown.Scope() != 0 {
		t.Errorf("no family: %v port %d, want zeroes", addr, port)
	}
}

// TestSockAddrIsTheKernels: bind takes what we encode, and getsockname gives
// what we decode.
func TestSockAddrIsTheKernels(t *testing.T) {
	for _, text := range []string{"127.0.0.1", "::1"} {
		addr := netip.MustParseAddr(text).As16()
		fd, errno := Socket(Family(addr), unix.SOCK_STREAM, 0)
		if errno != 0 {
			t.Fatal(errno)
		}
		defer Close(fd)
		s := MakeSockAddr(addr, 0, 0)
		if errno := Bind(fd, &s); errno != 0 {
			t.Fatalf("bind %s: %v", text, errno)
		}
		var local SockAddr
		if errno := LocalAddr(fd, &local); errno != 0 {
			t.Fatal(errno)
		}
		if got, port := local.AddrPort(); got != addr || port == 0 {
			t.Errorf("bound to %v, want %s and a port", local.Netip(), text)
		}
	}
}

func TestSendIovecs(t *testing.T) {
	a, b := tcpPair(t, loopback4)
	v := NewIovecs(2)
	v.Add([]byte("to be "))
	v.Add([]byte("continued"))
	if n, errno := SendIovecs(a, &v, MsgNosignal|MsgDontwait); n != v.Len() || errno != 0 {
		t.Fatalf("SendIovecs = %d, %v, want %d", n, errno, v.Len())
	}
	if got := receive(t, b, v.Len()); !bytes.Equal(got, []byte("to be continued")) {
		t.Errorf("received %q", got)
	}
}
