package tap

import (
	"errors"
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

// tunCalls are the system calls that make a tap. Tests put others in their
// place, to play kernels that grant less.
type tunCalls struct {
	open       func(name string, vnetHdr bool) (fd int, ifName string, step string, err error)
	setVnetLen func(fd, n int) syscall.Errno
	setVnetLE  func(fd int) syscall.Errno
	setOffload func(fd int, bits uint) syscall.Errno
}

// OpenTUN makes a tap interface called name in the network namespace of the
// calling thread, with as many of the wanted features as the kernel grants: USO
// goes first, then TSO, then checksums, then the header itself.
func OpenTUN(name string, want Features) (*TUN, error) {
	return openTUN(name, want, kernelCalls())
}

// OpenError tells what of opening a tap the kernel refused.
type OpenError struct {
	// Step is sys.StepOpenTun or sys.StepSetIff.
	Step string
	Err  error
}

// Error gives the step and the kernel's reason.
func (e *OpenError) Error() string { return fmt.Sprintf("%s failed: %v", e.Step, e.Err) }

// Unwrap gives the errno.
func (e *OpenError) Unwrap() error { return e.Err }

// AdoptTUN makes a device of fd, a tap that somebody else has opened, with as many of
// the wanted features as are possible without a new header. It owns fd from then on,
// and makes it non-blocking; on error fd stays the caller's.
func AdoptTUN(fd int, want Features) (*TUN, error) {
	name, vnetHdr, errno := sys.TapQuery(fd)
	if errno != 0 {
		return nil, fmt.Errorf("use descriptor %d as tap: %w", fd, errno)
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("make tap non-blocking: %w", err)
	}
	t := &TUN{fd: fd, name: name}
	if vnetHdr {
		want.VnetHdr = true
		if err := t.setVnet(want, kernelCalls()); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func kernelCalls() tunCalls {
	return tunCalls{sys.TapOpen, sys.TapSetVnetLen, sys.TapSetVnetLE, sys.TapSetOffload}
}

func openTUN(name string, want Features, k tunCalls) (*TUN, error) {
	if want.VnetHdr {
		t, err := openFeatures(name, want, k)
		if err == nil || !refused(err) {
			return t, err
		}
	}
	return openFeatures(name, Features{}, k)
}

// refused tells errors of a kernel that does not know what was asked for.
func refused(err error) bool {
	return errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTTY)
}

// openFeatures opens a tap with or without the header, as want says, and with
// what is granted of the other features.
func openFeatures(name string, want Features, k tunCalls) (*TUN, error) {
	fd, ifName, step, err := k.open(name, want.VnetHdr)
	if err != nil {
		return nil, &OpenError{Step: step, Err: err}
	}
	t := &TUN{fd: fd, name: ifName}
	if want.VnetHdr {
		if err := t.setVnet(want, k); err != nil {
			sys.Close(fd)
			return nil, err
		}
	}
	return t, nil
}

func (t *TUN) setVnet(want Features, k tunCalls) error {
	if errno := k.setVnetLen(t.fd, VnetLen); errno != 0 {
		return fmt.Errorf("set virtio-net header length of tap %q: %w", t.name, errno)
	}
	if errno := k.setVnetLE(t.fd); errno != 0 {
		return fmt.Errorf("set virtio-net byte order of tap %q: %w", t.name, errno)
	}
	errno := syscall.EINVAL
	for _, f := range fallbacks(want) {
		if errno = k.setOffload(t.fd, offloadBits(f)); errno == 0 {
			t.feat = f
			return nil
		}
		if errno != syscall.EINVAL {
			break
		}
	}
	return fmt.Errorf("set offloads of tap %q: %w", t.name, errno)
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
