package netcfg

import (
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pasta-net/pasta/netcfg/netns/netnstest"
	"github.com/pasta-net/pasta/netcfg/rtnl"
)

// update rewrites the recorded host states from what the kernel says.
var update = flag.Bool("update", false, "record testdata/*.json anew")

// updateEnv carries the flag to the copy in the namespaces.
const updateEnv = "PASTA_NETCFG_UPDATE"

// netipValues compares the opaque types of net/netip.
var netipValues = cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})

// loadHost reads a recorded host state.
func loadHost(t *testing.T, name string) HostState {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var s HostState
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// hostNames lists the recorded host states that testdata/NAME.ip builds.
func hostNames(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob("testdata/*.ip")
	if err != nil || len(files) == 0 {
		t.Fatalf("host scripts: %v, %v", files, err)
	}
	for _, f := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(f), ".ip"))
	}
	return names
}

// open opens rtnetlink in the namespace of the test.
func open(t *testing.T) *rtnl.Conn {
	t.Helper()
	c, err := rtnl.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// Every recording is what Discover finds on a host that is set up by the script
// of the same name.
func TestDiscoverFindsRecordedHosts(t *testing.T) {
	if *update {
		t.Setenv(updateEnv, "1")
	}
	for _, name := range hostNames(t) {
		t.Run(name, func(t *testing.T) {
			netnstest.Run(t, func(t *testing.T) { checkRecording(t, name) })
		})
	}
}

func checkRecording(t *testing.T, name string) {
	t.Helper()
	script, err := os.ReadFile(filepath.Join("testdata", name+".ip"))
	if err != nil {
		t.Fatal(err)
	}
	netnstest.IP(t, string(script))
	got, err := Discover(open(t))
	if err != nil {
		t.Fatal(err)
	}
	withoutVolatile(&got)
	if os.Getenv(updateEnv) == "1" {
		save(t, name, got)
	}
	if diff := cmp.Diff(loadHost(t, name), got, netipValues); diff != "" {
		t.Errorf("host (-recorded +discovered):\n%s", diff)
	}
}

// withoutVolatile removes what differs between two runs: MACs that the kernel
// made up, and flags that tell what the link notices a little later.
func withoutVolatile(s *HostState) {
	const running, lowerUp = rtnl.LinkFlags(0x40), rtnl.LinkFlags(0x10000) // IFF_RUNNING, IFF_LOWER_UP
	for i := range s.Links {
		l := &s.Links[i]
		l.Flags &^= running | lowerUp
		if !strings.HasPrefix(l.MAC, "02:00:00:00:00:") {
			l.MAC = ""
		}
	}
}

func save(t *testing.T, name string, s HostState) {
	t.Helper()
	b, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("testdata", name+".json"), append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}
