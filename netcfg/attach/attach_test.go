package attach

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/pasta-net/pasta/core/tap"
	"github.com/pasta-net/pasta/netcfg"
	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
	"github.com/pasta-net/pasta/netcfg/rtnl"
)

func TestMain(m *testing.M) {
	if exit, handled := Reentry(); handled {
		os.Exit(exit)
	}
	os.Exit(m.Run())
}

// guest starts a process in new user and network namespaces, which ends with the
// test.
func guest(t *testing.T) (pid int) {
	t.Helper()
	return netnstest.Hold(t, syscall.CLONE_NEWUSER|syscall.CLONE_NEWNET)
}

func target(pid int, plan netcfg.NamespacePlan) Target {
	ns := fmt.Sprintf("/proc/%d/ns/", pid)
	return Target{Netns: ns + "net", Userns: ns + "user", Plan: plan, Want: tap.Features{VnetHdr: true, Checksum: true, TSO4: true}}
}

// inside runs ip(8) in the namespaces of pid.
func inside(t *testing.T, pid int, words ...string) string {
	t.Helper()
	args := append([]string{"-t", fmt.Sprint(pid), "-U", "-n", "--preserve-credentials", "ip"}, words...)
	out, err := exec.Command("nsenter", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("nsenter: %v\n%s", err, out)
	}
	return string(out)
}

func TestOpenElsewhere(t *testing.T) {
	pid := guest(t)
	r, err := Open(target(pid, netcfg.NamespacePlan{
		IfName: "tap0", Configure: true, MTU: 1400, TxQLen: 1000, MAC: &[6]byte{2, 0, 0, 0, 0, 9},
		Addrs: []rtnl.Addr{{Prefix: netip.MustParsePrefix("10.0.2.100/24")}},
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Device.Close()
	if want := [6]byte{2, 0, 0, 0, 0, 9}; r.Applied.MAC != want || r.Device.Name() != "tap0" {
		t.Errorf("%q has MAC %x, want tap0 with %x", r.Device.Name(), r.Applied.MAC, want)
	}
	if f := r.Device.Features(); !f.VnetHdr || !f.Checksum || !f.TSO4 {
		t.Errorf("features %+v, want all that were wanted", f)
	}
	if _, errno := r.Device.Recv(make([]byte, tap.RecvLen)); errno != 0 && errno != syscall.EAGAIN {
		t.Errorf("read: %v", errno)
	}
	out := inside(t, pid, "addr", "show", "dev", "tap0")
	for _, want := range []string{"mtu 1400", "02:00:00:00:00:09", "10.0.2.100/24", "UP"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q on the interface:\n%s", want, out)
		}
	}
}

func TestOpenLeavesAlone(t *testing.T) {
	pid := guest(t)
	inside(t, pid, "tuntap", "add", "name", "tap0", "mode", "tap")
	before := inside(t, pid, "-o", "link", "show")
	r, err := Open(target(pid, netcfg.NamespacePlan{IfName: "tap0", MTU: 1400}))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Device.Close()
	if after := inside(t, pid, "-o", "link", "show"); strings.Contains(after, "UP") || !strings.Contains(after, "mtu 1500") {
		t.Errorf("links were\n%s and are\n%s", before, after)
	}
	mac := fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", r.Applied.MAC[0], r.Applied.MAC[1], r.Applied.MAC[2],
		r.Applied.MAC[3], r.Applied.MAC[4], r.Applied.MAC[5])
	if !strings.Contains(before, mac) {
		t.Errorf("MAC %s is none of\n%s", mac, before)
	}
}

func TestOpenOnThread(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		r, err := Open(Target{Netns: "/proc/self/ns/net", Userns: "/proc/self/ns/user", Plan: netcfg.NamespacePlan{IfName: "tap0"}})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Device.Close()
		if out := netnstest.IP(t, "link show"); !strings.Contains(out, "tap0") {
			t.Errorf("no tap0 among\n%s", out)
		}
	})
}

func TestErrors(t *testing.T) {
	pid := guest(t)
	busy, err := Open(target(pid, netcfg.NamespacePlan{IfName: "tap0"}))
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Device.Close()
	missing := target(pid, netcfg.NamespacePlan{IfName: "tap1"})
	for _, tt := range []struct {
		name  string
		t     Target
		step  Step
		path  string
		errno syscall.Errno
	}{
		{"no network namespace", Target{Netns: "/nowhere"}, StepOpen, "/nowhere", syscall.ENOENT},
		{"no user namespace", Target{Netns: missing.Netns, Userns: "/nowhere"}, StepOpen, "/nowhere", syscall.ENOENT},
		{"no namespace", Target{Netns: os.DevNull}, StepEnter, "", syscall.EINVAL},
		{"user namespace is none", Target{Netns: os.DevNull, Userns: os.DevNull}, StepEnter, "", syscall.EINVAL},
		{"tap in use", target(pid, netcfg.NamespacePlan{IfName: "tap0"}), StepTap, "", syscall.EBUSY},
		{
			"cannot be configured", target(pid, netcfg.NamespacePlan{IfName: "tap1", Configure: true, MTU: 1}),
			StepConfigure, "", syscall.EINVAL,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Open(tt.t)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("Open = %v, want an *Error", err)
			}
			if e.Step != tt.step || e.Path != tt.path || !errors.Is(err, tt.errno) {
				t.Errorf("Open = %q in step %q of path %q, want %v in %q of %q", err, e.Step, e.Path, tt.errno, tt.step, tt.path)
			}
		})
	}
}
