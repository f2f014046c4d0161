package rtnl

import (
	"os"
	"path/filepath"
	"testing"
)

// writeSysctl sets a sysctl of the network namespace, given by its path below
// /proc/sys.
func writeSysctl(t *testing.T, name, value string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join("/proc/sys", name), []byte(value), 0o644); err != nil {
		t.Fatal(err)
	}
}
