package rootlesskit

import (
	"os"
	"os/exec"
	"testing"

	"github.com/rootless-containers/rootlesskit/v3/pkg/port"
	"github.com/rootless-containers/rootlesskit/v3/pkg/port/testsuite"

	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
)

// TestMain lets RootlessKit's suite start this binary as the child.
func TestMain(m *testing.M) {
	testsuite.Main(m, func() port.ChildDriver { return NewChildDriver(os.Stderr) })
}

// TestSuite is RootlessKit's own, in a namespace with an address that is not a
// loopback one.
func TestSuite(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		for _, tool := range []string{"nsenter", "ip", "nc"} {
			if _, err := exec.LookPath(tool); err != nil {
				netnstest.Lacks(t, "%v", err)
			}
		}
		netnstest.IP(t, "link set lo up\nlink add v0 type veth peer name v1\nlink set v0 up\nlink set v1 up\n"+
			"addr add 192.0.2.1/24 dev v0\n")
		d, err := NewParentDriver(os.Stderr, t.TempDir(), true)
		if err != nil {
			t.Fatal(err)
		}
		driver := func() port.ParentDriver { return d }
		testsuite.Run(t, driver)
		testsuite.RunTCPTransparent(t, driver)
		testsuite.RunUDPTransparent(t, driver)
	})
}
