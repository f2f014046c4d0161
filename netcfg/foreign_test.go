package netcfg

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

// dialAs connects to a service from the address source, which is not ours.
func dialAs(source, service string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	d.Control = func(_, _ string, c syscall.RawConn) error {
		var errno syscall.Errno
		err := c.Control(func(fd uintptr) {
			family := syscall.AF_INET
			if net.ParseIP(source).To4() == nil {
				family = syscall.AF_INET6
			}
			if errno = sys.SetTransparent(int(fd), family); errno == 0 {
				errno = sys.SetInt(int(fd), syscall.SOL_SOCKET, syscall.SO_MARK, ForeignMark)
			}
		})
		if errno != 0 {
			err = errors.Join(err, errno)
		}
		return err
	}
	return d.Dial("tcp", service)
}

// TestForeignSources: services see the foreign address, answer to it, and refuse at
// once where nobody listens. With default routes that lead elsewhere.
func TestForeignSources(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		netnstest.IP(t, "link set lo up\nlink add d0 type veth peer name d1\nlink set d0 up\nlink set d1 up\n"+
			"addr add 10.0.2.100/24 dev d0\nroute add default via 10.0.2.2\n")
		netnstest.IP(t, "addr add fd00::100/64 dev d0 nodad\nroute add default via fd00::2\n", "-6")
		for range 2 { // it may be asked for again
			if v4, v6, err := AcceptForeignSources(); err != nil || !v4 || !v6 {
				t.Fatalf("AcceptForeignSources = %v, %v, %v, want both families", v4, v6, err)
			}
		}
		for _, tt := range []struct{ source, loopback string }{{"192.0.2.1", "127.0.0.1:0"}, {"2001:db8::1", "[::1]:0"}} {
			l, err := net.Listen("tcp", tt.loopback)
			if err != nil {
				t.Fatal(err)
			}
			c, err := dialAs(tt.source, l.Addr().String())
			if err != nil {
				t.Fatalf("from %s: %v", tt.source, err)
			}
			s, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if seen, _, _ := net.SplitHostPort(s.RemoteAddr().String()); seen != tt.source {
				t.Errorf("the service sees %s, want %s", seen, tt.source)
			}
			if _, err := io.WriteString(s, "answer"); err != nil {
				t.Error(err)
			}
			_ = s.Close()
			if got, err := io.ReadAll(c); err != nil || string(got) != "answer" {
				t.Errorf("answer %q, %v", got, err)
			}
			_ = c.Close()
			_ = l.Close()
			if c, err := dialAs(tt.source, l.Addr().String()); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("without service: %v, %v, want refusal", c, err)
			}
		}
	})
}
