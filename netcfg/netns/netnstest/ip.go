package netnstest

import (
	"os/exec"
	"strings"
	"testing"
)

// IP runs iproute2's ip(8) with one command per line of batch, in the network
// namespace of the calling thread, and returns its output. Options such as "-6"
// hold for all commands. An error ends the
// test. Tests build their namespaces with it and read them back, as a witness
// that is independent of our own netlink code.
func IP(t *testing.T, batch string, options ...string) string {
	t.Helper()
	c := exec.Command("ip", append(options, "-batch", "-")...)
	c.Stdin = strings.NewReader(batch)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("ip -batch: %v\n%s\ninput:\n%s", err, out, batch)
	}
	return string(out)
}
