package tap

import (
	"fmt"
	"syscall"

	"github.com/pasta-net/pasta/core/sys"
)

// TUN is a tap interface of the kernel.
type TUN struct {
	fd   int
	name string
	feat Features
}

// OpenTUN makes a tap interface called name in the network namespace of the
// calling thread, with as many of the wanted features as the kernel grants: USO
// first goes, then TSO, then checksums, then the header itself.
func OpenTUN(name string, want Features) (*TUN, error) {
	fd, real, step, err := sys.TapOpen(name, want.VnetHdr)
	if err != nil && want.VnetHdr && err == syscall.EINVAL {
		want = Features{}
		fd, real, step, err = sys.TapOpen(name, false)
	}
	if err != nil {
		return nil, fmt.Errorf("%s failed: %w", step, err)
	}
	t := &TUN{fd: fd, name: real}
	if want.VnetHdr {
		if err := t.setVnet(want); err != nil {
			sys.Close(fd)
			return nil, err
		}
	}
	return t, nil
}

func (t *TUN) setVnet(want Features) error {
	if errno := sys.TapSetVnetLen(t.fd, VnetLen); errno != 0 {
		return fmt.Errorf("set virtio-net header length of tap %q: %w", t.name, errno)
	}
	if errno := sys.TapSetVnetLE(t.fd); errno != 0 {
		return fmt.Errorf("set virtio-net byte order of tap %q: %w", t.name, errno)
	}
	for _, f := range fallbacks(want) {
		errno := sys.TapSetOffload(t.fd, offloadBits(f))
		if errno == 0 {
			t.feat = f
			return nil
		}
		if errno != syscall.EINVAL {
			return fmt.Errorf("set offloads of tap %q: %w", t.name, errno)
		}
	}
	return fmt.Errorf("set offloads of tap %q: %w", t.name, syscall.EINVAL)
}

// fallbacks lists want and what is left of it step by step, without repeats.
func fallbacks(want Features) []Features {
	if !want.Checksum { // the kernel refuses TSO and USO without it
		want.TSO4, want.TSO6, want.USO = false, false, false
	}
	steps := []Features{want}
	for _, drop := range []func(*Features){
		func(f *Features) { f.USO = false },
		func(f *Features) { f.TSO4, f.TSO6 = false, false },
		func(f *Features) { f.Checksum = false },
	} {
		f := steps[len(steps)-1]
		drop(&f)
		if f != steps[len(steps)-1] {
			steps = append(steps, f)
		}
	}
	return steps
}

func offloadBits(f Features) uint {
	bits := uint(0)
	for _, b := range []struct {
		on  bool
		bit uint
	}{
		{f.Checksum, sys.TunCsum},
		{f.TSO4, sys.TunTSO4},
		{f.TSO6, sys.TunTSO6},
		{f.USO, sys.TunUSO4 | sys.TunUSO6},
	} {
		if b.on {
			bits |= b.bit
		}
	}
	return bits
}

// Name is the name of the interface.
func (t *TUN) Name() string { return t.name }

// FD implements Device.
func (t *TUN) FD() int { return t.fd }

// Features implements Device.
func (t *TUN) Features() Features { return t.feat }

// Recv implements Device.
func (t *TUN) Recv(b []byte) (int, syscall.Errno) { return sys.Read(t.fd, b) }

// Send implements Device.
func (t *TUN) Send(hdr, payload []byte) syscall.Errno {
	var errno syscall.Errno
	if len(payload) == 0 {
		_, errno = sys.Write(t.fd, hdr)
	} else {
		_, errno = sys.Write2(t.fd, hdr, payload)
	}
	return errno
}

// Close implements Device.
func (t *TUN) Close() { sys.Close(t.fd) }
