package netnstest

import (
	"fmt"
	"os"
	"testing"
)

// OnlyPort leaves the kernel of this namespace one port to choose.
func OnlyPort(t testing.TB, port uint16) {
	t.Helper()
	const name = "/proc/sys/net/ipv4/ip_local_port_range"
	if err := os.WriteFile(name, fmt.Appendf(nil, "%d %d", port, port), 0); err != nil {
		t.Fatal(err)
	}
}
