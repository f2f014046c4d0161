package slirp4netns

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"syscall"

	"github.com/pasta-net/pasta/compat/cmdline"
	"github.com/pasta-net/pasta/compat/service"
	"github.com/pasta-net/pasta/core/sys"
	"github.com/pasta-net/pasta/core/tap"
	"github.com/pasta-net/pasta/netcfg"
	"github.com/pasta-net/pasta/netcfg/attach"
	"github.com/pasta-net/pasta/netcfg/rtnl"
)

// txQLen is the queue of the interface in packets.
const txQLen = 1000

// childFailed ends the errors of what upstream does in a child.
const childFailed = "\nchild failed(1)"

// open makes the link to the guest, and tells about it.
func (r *run) open() (link service.Link, err error) {
	s := r.settings
	switch {
	case s.targetType == targetBess:
		link.Device, err = r.awaitPeer(s.path)
	case s.namespaceType() == netnsTapFD:
		link.Device, err = adopt(s.tapFD)
	default:
		link, err = r.openTap()
	}
	if err == nil {
		s.summary()
	}
	return link, err
}

// features are all that a tap may have.
func features() tap.Features {
	return tap.Features{VnetHdr: true, Checksum: true, TSO4: true, TSO6: true, USO: true}
}

// adopt takes over the tap that the caller has opened.
func adopt(fd int) (tap.Device, error) {
	dev, err := tap.AdoptTUN(fd, features())
	if err != nil {
		return nil, err
	}
	if fd > 2 {
		syscall.CloseOnExec(fd)
	}
	return dev, nil
}

// openTap opens the tap in the namespace.
func (r *run) openTap() (service.Link, error) {
	s := r.settings
	t := attach.Target{Netns: s.path, Userns: s.usernsPath, Plan: s.plan(), Want: features()}
	if s.pid != 0 {
		t.Netns = fmt.Sprintf("/proc/%d/ns/net", s.pid)
		if t.Userns == "" {
			t.Userns = fmt.Sprintf("/proc/%d/ns/user", s.pid)
		}
	}
	opened, err := attach.Open(t)
	if err != nil {
		return service.Link{}, wordedAttach(err)
	}
	for _, w := range opened.Applied.Warnings {
		fmt.Fprintln(r.Stderr, w)
	}
	fd := opened.Device.FD()
	fmt.Fprintf(r.Stderr, "sent tapfd=%d for %s\nreceived tapfd=%d\n", fd, s.ifName, fd)
	return service.Link{Device: opened.Device, GuestMAC: opened.Applied.MAC}, nil
}

// plan is the wanted state of the namespace. The IPv6 address comes from the router
// advertisement.
func (s *settings) plan() netcfg.NamespacePlan {
	p := netcfg.NamespacePlan{IfName: s.ifName, Configure: s.configure}
	if !s.configure {
		return p
	}
	p.MTU, p.TxQLen, p.MAC = s.mtu, txQLen, s.macAddress
	p.Addrs = []rtnl.Addr{{Prefix: netip.PrefixFrom(s.network.guest(), s.network.prefix.Bits())}}
	p.Routes = []rtnl.Route{{
		Dst:   netip.PrefixFrom(netip.IPv4Unspecified(), 0),
		Table: rtnl.TableMain, Type: rtnl.TypeUnicast, Protocol: rtnl.ProtocolBoot,
		Hops: []rtnl.Hop{{Gateway: s.network.gateway()}},
	}}
	return p
}

// wordedAttach gives an error of opening the tap in the words that callers know.
func wordedAttach(err error) error {
	var e *attach.Error
	if !errors.As(err, &e) {
		return cmdline.Errorf("%s%s", err, childFailed)
	}
	reason := sys.Reason(errors.New(e.Text))
	if e.Errno != 0 {
		reason = sys.Reason(e.Errno)
	}
	what := map[attach.Step]string{
		attach.StepOpen:  e.Path,
		attach.StepEnter: "setns(CLONE_NEWNET)",
		attach.StepTun:   `open("/dev/net/tun")`,
		attach.StepTap:   "ioctl(TUNSETIFF)",
	}[e.Step]
	if what == "" {
		return cmdline.Errorf("%s%s", e.Text, childFailed)
	}
	return cmdline.Errorf("%s: %s%s", what, reason, childFailed)
}

// awaitPeer serves the one peer that connects to a socket at path, each of whose
// messages is a frame.
func (r *run) awaitPeer(path string) (tap.Device, error) {
	if len(path) >= maxSocketPath {
		return nil, cmdline.Errorf("the specified BESS socket path is too long (>= %d)%s", maxSocketPath, childFailed)
	}
	fd, err := listenPackets(path)
	if err != nil {
		return nil, cmdline.Errorf("bind(%q): %s%s", path, sys.Reason(err), childFailed)
	}
	defer sys.Close(fd)
	fmt.Fprintf(r.Stderr, "Waiting for connection to %s\n", path)
	peer, _, err := syscall.Accept4(fd, syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK)
	if err != nil {
		return nil, cmdline.Errorf("accept: %s%s", sys.Reason(err), childFailed)
	}
	return tap.NewPackets(peer, r.settings.mtu), nil
}

func listenPackets(path string) (fd int, err error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return -1, err
	}
	fd, err = syscall.Socket(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err = syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}); err == nil {
		err = syscall.Listen(fd, 1)
	}
	if err != nil {
		sys.Close(fd)
		return -1, err
	}
	return fd, nil
}
