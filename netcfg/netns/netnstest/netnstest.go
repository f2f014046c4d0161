// Package netnstest runs single tests inside fresh user and network namespaces
// by starting the test binary again (tests only). It works as root and as an
// ordinary user, because a new user namespace grants every capability over the
// network namespace that is created with it.
//
// Import level: netcfg, but only from _test.go files.
package netnstest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// childEnv names the test that the re-executed binary has to run in place.
const childEnv = "PASTA_NETNSTEST_CHILD"

// requireEnv, when set to 1, turns what a test would be skipped for into a failure.
const requireEnv = "PASTA_REQUIRE_NETNS"

// Run runs body in new user and network namespaces, as user 0 there. The test
// that calls it must do nothing else: up to the call it is executed twice, once
// by the ordinary test process and once by its copy in the namespaces. The test
// is skipped if the kernel refuses namespaces, unless PASTA_REQUIRE_NETNS=1.
func Run(t *testing.T, body func(t *testing.T)) {
	t.Helper()
	if os.Getenv(childEnv) == t.Name() {
		body(t)
		return
	}
	out, err := command(t.Name()).CombinedOutput()
	switch {
	case err == nil && ran(string(out), t.Name()):
		t.Logf("in new namespaces:\n%s", out)
	case refused(err):
		Lacks(t, "create user and network namespaces: %v", err)
	default:
		t.Errorf("in new namespaces: %v\n%s", err, out)
	}
}

// Lacks ends a test for want of something that the message names: the test is
// skipped, or fails if PASTA_REQUIRE_NETNS=1, where nothing may be missing.
func Lacks(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv(requireEnv) == "1" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// command starts this binary for the one test name in new namespaces.
func command(name string) *exec.Cmd {
	c := exec.Command("/proc/self/exe", "-test.run="+pattern(name), "-test.v", "-test.count=1")
	// The race detector's runtime would sleep for a second at each exit.
	c.Env = append(os.Environ(), childEnv+"="+name, "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0")
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:                 syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings:                []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings:                []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		GidMappingsEnableSetgroups: false,
	}
	return c
}

// pattern is the -test.run expression that selects exactly the test name.
func pattern(name string) string {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = "^" + regexp.QuoteMeta(p) + "$"
	}
	return strings.Join(parts, "/")
}

// ran tells whether the copy really executed the test: a pattern that selects
// nothing would otherwise count as success.
func ran(out, name string) bool {
	return strings.Contains(out, fmt.Sprintf("--- PASS: %s ", name))
}

// refused tells whether starting failed because namespaces are not permitted
// (EPERM), exhausted (ENOSPC, EUSERS) or not built in (EINVAL).
func refused(err error) bool {
	for _, e := range []error{syscall.EPERM, syscall.ENOSPC, syscall.EUSERS, syscall.EINVAL} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
