package ctlsock

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
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
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.p.check(tt.owner); !errors.Is(err, tt.want) {
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

// noCookies is what a kernel before 5.14 says.
func noCookies() (uint64, syscall.Errno) { return 0, syscall.ENOPROTOOPT }

// homes are our own network namespace, as newer and older kernels tell it.
func homes(t *testing.T) map[string]*Home {
	t.Helper()
	old, err := ownHome(noCookies, newUnixDiag)
	if err != nil {
		netnstest.Lacks(t, "this kernel has no sock_diag for UNIX sockets: %v", err)
	}
	t.Cleanup(func() { sys.Close(old.diag.fd) })
	list := map[string]*Home{"anywhere": nil, "by sock_diag": old}
	if here, errno := sys.OwnNetnsCookie(); errno == 0 {
		list["by cookie"] = HomeOf(here)
	}
	return list
}

// A name that Go takes for that of an abstract socket is one of a file, as for others.
func TestListenAtAFileNamedLikeAnAbstractSocket(t *testing.T) {
	t.Chdir(t.TempDir())
	for range 2 { // the second takes the place of the first
		l, err := Listen("@ctl")
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("unix", FileName("@ctl"))
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
		if info, err := os.Stat("@ctl"); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v, want a file of mode 0600", info, err)
		}
		_ = l.Close()
	}
}

func TestAdmit(t *testing.T) {
	for name, home := range homes(t) {
		t.Run(name, func(t *testing.T) {
			for range 3 {
				if pid, err := admit(t, home, net.Dial); err != nil || pid != os.Getpid() {
					t.Errorf("Admit at home = %d, %v, want %d", pid, err, os.Getpid())
				}
			}
		})
	}
}

// TestClientsElsewhereAreRefused has them connect from a namespace of their own.
func TestClientsElsewhereAreRefused(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		for name, home := range homes(t) {
			t.Run(name, func(t *testing.T) {
				want := errPeerAway
				if home == nil {
					want = nil
				}
				if _, err := admit(t, home, dialElsewhere); !errors.Is(err, want) {
					t.Errorf("Admit from elsewhere: %v, want %v", err, want)
				}
				if _, err := admit(t, home, net.Dial); err != nil {
					t.Errorf("Admit at home after that: %v", err)
				}
			})
		}
	})
}

// dialElsewhere is net.Dial in a new network namespace, on a thread that ends with it.
func dialElsewhere(network, address string) (conn net.Conn, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err = syscall.Unshare(syscall.CLONE_NEWNET); err == nil {
			conn, err = net.Dial(network, address)
		}
	}()
	<-done
	return conn, err
}

// TestUnknownNamespaceIsRefused: a client is not at home if the kernel does not tell.
func TestUnknownNamespaceIsRefused(t *testing.T) {
	closed := &Home{diag: &unixDiag{fd: -1}}
	if _, err := admit(t, closed, net.Dial); !errors.Is(err, syscall.EBADF) {
		t.Errorf("Admit without sock_diag: %v, want %v", err, syscall.EBADF)
	}
	if err := HomeOf(1).has(-1); !errors.Is(err, syscall.EBADF) {
		t.Errorf("without cookie: %v, want %v", err, syscall.EBADF)
	}
}

// TestNoMeansToTell: without cookies and sock_diag nobody is admitted, and the user
// learns why.
func TestNoMeansToTell(t *testing.T) {
	h, err := ownHome(noCookies, func() (*unixDiag, error) { return nil, syscall.ENOENT })
	if h != nil || !errors.Is(err, syscall.ENOENT) {
		t.Fatalf("ownHome = %v, %v, want %v", h, err, syscall.ENOENT)
	}
	for _, word := range []string{"control socket", "Linux 5.14", "CONFIG_UNIX_DIAG"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %q", err, word)
		}
	}
}

func TestUnixAnswers(t *testing.T) {
	ne := binary.NativeEndian
	// answer is a message of a type, to a request, with these words behind the header.
	answer := func(typ uint16, seq uint32, words ...uint32) (b []byte) {
		b = ne.AppendUint16(make([]byte, 4, 64), typ)
		b = ne.AppendUint32(append(b, 0, 0), seq)
		b = append(b, 0, 0, 0, 0)
		for _, w := range words {
			b = ne.AppendUint32(b, w)
		}
		return b
	}
	refusal := func(errno syscall.Errno) uint32 { return uint32(-int32(errno)) }
	tests := []struct {
		name  string
		b     []byte
		mine  bool
		wants error
	}{
		{"found", answer(sockDiagByFamily, 7, 1, 42), true, nil},
		{"another socket", answer(sockDiagByFamily, 7, 1, 43), true, errDiagAnswer},
		{"of another request", answer(sockDiagByFamily, 6, 1, 42), false, nil},
		{"not found", answer(syscall.NLMSG_ERROR, 7, refusal(syscall.ENOENT)), true, errPeerAway},
		{"inode of another socket", answer(syscall.NLMSG_ERROR, 7, refusal(syscall.ESTALE)), true, errPeerAway},
		{"no sock_diag", answer(syscall.NLMSG_ERROR, 7, refusal(syscall.EINVAL)), true, syscall.EINVAL},
		{"acknowledgment", answer(syscall.NLMSG_ERROR, 7, 0), true, errDiagAnswer},
		{"short error", answer(syscall.NLMSG_ERROR, 7), true, errDiagAnswer},
		{"short socket", answer(sockDiagByFamily, 7, 1), true, errDiagAnswer},
		{"another type", answer(syscall.NLMSG_DONE, 7, 1, 42), true, errDiagAnswer},
		{"nothing", nil, true, errDiagAnswer},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if mine, err := parseUnixAnswer(tt.b, 7, 42); mine != tt.mine || !errors.Is(err, tt.wants) {
				t.Errorf("parse = %v, %v, want %v, %v", mine, err, tt.mine, tt.wants)
			}
		})
	}
}

// admit connects to a listener and gives what that makes of us.
func admit(t *testing.T, home *Home, dial func(network, address string) (net.Conn, error)) (pid int, err error) {
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
	client, err := dial("unix", path)
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
	if _, err := NewListener(f, nil); !errors.Is(err, syscall.EPROTOTYPE) {
		t.Errorf("NewListener = %v, want %v", err, syscall.EPROTOTYPE)
	}
}

// FuzzUnixAnswer checks that no answer is read beyond its end, and that only one with
// our socket lets a client in.
func FuzzUnixAnswer(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x14\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x2a\x00\x00\x00"))
	f.Add([]byte("\x00\x00\x00\x00\x02\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\xfe\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		mine, err := parseUnixAnswer(b, 7, 42)
		if mine && err == nil && (len(b) < 24 || binary.NativeEndian.Uint32(b[20:]) != 42) {
			t.Errorf("%x lets a client in", b)
		}
	})
}
