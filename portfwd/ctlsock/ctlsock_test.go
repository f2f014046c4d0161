package ctlsock

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

func TestPeerCheck(t *testing.T) {
	tests := []struct {
		name  string
		p     peer
		owner uint32
		want  error
	}{
		{"owner", peer{uid: 1000}, 1000, nil},
		{"root", peer{uid: 0}, 1000, nil},
		{"other user", peer{uid: 1001}, 1000, errPeerUser},
		{"home", peer{uid: 1000, netns: 7}, 1000, nil},
		{"guest, or a namespace of its own", peer{uid: 1000, netns: 8}, 1000, errPeerAway},
		{"root elsewhere", peer{uid: 0, netns: 8}, 1000, errPeerAway},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.p.check(tt.owner, 7); !errors.Is(err, tt.want) {
				t.Errorf("check = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestListen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conf")
	f, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("socket: mode %v, %v, want 0600", info.Mode(), err)
	}
	if _, err := Listen(path); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("second listener: %v, want address in use", err)
	}
	_ = f.Close()
	if f, err = Listen(path); err != nil {
		t.Fatalf("with a stale socket: %v", err)
	}
	_ = f.Close()
	if _, err := Listen(os.DevNull); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("in place of a device: %v, want address in use", err)
	}
	if _, err := Listen(filepath.Join(path, "x")); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("below a socket: %v, want not a directory", err)
	}
	if _, err := Listen(filepath.Join(path, strings.Repeat("x", 108))); !errors.Is(err, syscall.ENAMETOOLONG) {
		t.Errorf("longer than the kernel's limit: %v, want name too long", err)
	}
}

func TestAdmit(t *testing.T) {
	here, errno := sys.OwnNetnsCookie()
	tests := []struct {
		name string
		home uint64
		want error
	}{
		{"anywhere", 0, nil},
		{"client at home", here, nil},
		{"client elsewhere", here + 1, errPeerAway},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.home != 0 && errno != 0 {
				netnstest.Lacks(t, "this kernel does not tell namespaces: %v", errno)
			}
			pid, err := admit(t, tt.home)
			if !errors.Is(err, tt.want) || pid != os.Getpid() {
				t.Errorf("Admit = %d, %v, want %d, %v", pid, err, os.Getpid(), tt.want)
			}
		})
	}
}

// admit connects to a listener and gives what that makes of us.
func admit(t *testing.T, home uint64) (pid int, err error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "conf")
	f, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	l, err := NewListener(f, home)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := l.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return l.Admit(conn)
}

func TestListenerOfNoUnixSocket(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	f, err := tcp.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewListener(f, 0); !errors.Is(err, syscall.EPROTOTYPE) {
		t.Errorf("NewListener = %v, want %v", err, syscall.EPROTOTYPE)
	}
}
