package tap

import (
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/pasta-net/pasta/core/sys"
)

var allFeatures = Features{VnetHdr: true, Checksum: true, TSO4: true, TSO6: true, USO: true}

func TestFallbacks(t *testing.T) {
	hdr := Features{VnetHdr: true}
	csum := Features{VnetHdr: true, Checksum: true}
	tso := Features{VnetHdr: true, Checksum: true, TSO4: true, TSO6: true}
	uso := Features{VnetHdr: true, Checksum: true, USO: true}
	tests := []struct {
		name string
		want Features
		out  []Features
	}{
		{"all", allFeatures, []Features{allFeatures, tso, csum, hdr}},
		{"no USO", tso, []Features{tso, csum, hdr}},
		{"no TSO", uso, []Features{uso, csum, hdr}},
		{"checksum only", csum, []Features{csum, hdr}},
		{"header only", hdr, []Features{hdr}},
		{"TSO without checksum", Features{VnetHdr: true, TSO4: true, TSO6: true, USO: true}, []Features{hdr}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := fallbacks(tt.want); !slices.Equal(got, tt.out) {
				t.Errorf("fallbacks(%+v) = %+v, want %+v", tt.want, got, tt.out)
			}
		})
	}
}

func TestOffloadBits(t *testing.T) {
	tests := []struct {
		name string
		feat Features
		want uint
	}{ // linux/if_tun.h
		{"none", Features{VnetHdr: true}, 0},
		{"checksum", Features{Checksum: true}, 0x01},
		{"TSO", Features{TSO4: true, TSO6: true}, 0x02 | 0x04},
		{"USO", Features{USO: true}, 0x20 | 0x40},
		{"all", allFeatures, 0x67},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := offloadBits(tt.feat); got != tt.want {
				t.Errorf("offloadBits = %#x, want %#x", got, tt.want)
			}
		})
	}
}

// oldKernel plays a kernel that knows only the given offload bits.
type oldKernel struct {
	t       *testing.T
	noVnet  bool          // TUNSETIFF refuses IFF_VNET_HDR
	lenErr  syscall.Errno // of TUNSETVNETHDRSZ
	leErr   syscall.Errno // of TUNSETVNETLE
	known   uint          // bits that TUNSETOFFLOAD knows
	offErr  syscall.Errno // of TUNSETOFFLOAD for other bits
	openErr error
	fds     []int
}

func (k *oldKernel) calls() tunCalls {
	return tunCalls{
		open: k.open,
		setVnetLen: func(_, n int) syscall.Errno {
			if n != VnetLen {
				k.t.Errorf("header length %d, want %d", n, VnetLen)
			}
			return k.lenErr
		},
		setVnetLE: func(int) syscall.Errno { return k.leErr },
		setOffload: func(_ int, bits uint) syscall.Errno {
			if bits&^k.known != 0 {
				return k.offErr
			}
			return 0
		},
	}
}

func (k *oldKernel) open(_ string, vnetHdr bool) (int, string, string, error) {
	if k.openErr != nil {
		return -1, "", "open /dev/net/tun", k.openErr
	}
	if vnetHdr && k.noVnet {
		return -1, "", "TUNSETIFF ioctl on /dev/net/tun", syscall.EINVAL
	}
	fd, err := sys.Eventfd()
	if err != nil {
		k.t.Fatal(err)
	}
	k.fds = append(k.fds, fd)
	return fd, "tap9", "", nil
}

// left tells how many of the descriptors given out are still open.
func (k *oldKernel) left() int {
	n := 0
	for _, fd := range slices.Compact(slices.Sorted(slices.Values(k.fds))) {
		if dup, err := syscall.Dup(fd); err == nil {
			sys.Close(dup)
			n++
		}
	}
	return n
}

func TestOpenTUNFallsBackStepByStep(t *testing.T) {
	tests := []struct {
		name   string
		kernel oldKernel
		want   Features
	}{
		{"current", oldKernel{known: 0x67}, allFeatures},
		{"before USO (6.2)", oldKernel{known: 0x1f}, Features{VnetHdr: true, Checksum: true, TSO4: true, TSO6: true}},
		{"no TSO", oldKernel{known: 0x01}, Features{VnetHdr: true, Checksum: true}},
		{"no offload at all", oldKernel{}, Features{VnetHdr: true}},
		{"no header", oldKernel{noVnet: true}, Features{}},
		{"no header length", oldKernel{lenErr: syscall.ENOTTY}, Features{}},
		{"no byte order", oldKernel{leErr: syscall.EINVAL}, Features{}},
		{"no ioctl for offloads", oldKernel{offErr: syscall.ENOTTY}, Features{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := tt.kernel
			k.t = t
			if k.offErr == 0 {
				k.offErr = syscall.EINVAL
			}
			dev, err := openTUN("tap9", allFeatures, k.calls())
			if err != nil {
				t.Fatal(err)
			}
			if dev.Features() != tt.want || dev.Name() != "tap9" || k.left() != 1 {
				t.Errorf("features %+v with %d descriptors, want %+v with one", dev.Features(), k.left(), tt.want)
			}
			dev.Close()
			if k.left() != 0 {
				t.Errorf("%d descriptors left after Close", k.left())
			}
		})
	}
}

func TestOpenTUNErrors(t *testing.T) {
	tests := []struct {
		name   string
		kernel oldKernel
		errno  syscall.Errno
		text   string
	}{
		{"no device file", oldKernel{openErr: syscall.ENOENT}, syscall.ENOENT, "open /dev/net/tun failed: no such file or directory"},
		{"not permitted", oldKernel{openErr: syscall.EPERM}, syscall.EPERM, "open /dev/net/tun failed: operation not permitted"},
		{"header length fails", oldKernel{lenErr: syscall.EPERM}, syscall.EPERM, `header length of tap "tap9": operation`},
		{"byte order fails", oldKernel{leErr: syscall.EPERM}, syscall.EPERM, `byte order of tap "tap9": operation`},
		{"offloads fail", oldKernel{offErr: syscall.EPERM}, syscall.EPERM, `set offloads of tap "tap9": operation`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := tt.kernel
			k.t = t
			_, err := openTUN("tap9", allFeatures, k.calls())
			if !errors.Is(err, tt.errno) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error %v, want %q", err, tt.text)
			}
			if k.left() != 0 {
				t.Errorf("%d descriptors left", k.left())
			}
		})
	}
}

func TestAdoptWhatIsNoTap(t *testing.T) {
	for _, path := range []string{os.DevNull, "/dev/net/tun"} {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if tun, err := AdoptTUN(int(f.Fd()), Features{}); err == nil {
			t.Errorf("%s is adopted as %+v", path, tun)
		}
		f.Close()
	}
}
