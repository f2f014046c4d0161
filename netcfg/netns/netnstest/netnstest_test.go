package netnstest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestRunEntersNewNamespaces(t *testing.T) {
	Run(t, func(t *testing.T) {
		if uid := os.Getuid(); uid != 0 {
			t.Errorf("user in namespace: got %d, want 0", uid)
		}
		links, err := net.Interfaces()
		if err != nil {
			t.Fatal(err)
		}
		if len(links) == 0 || links[0].Name != "lo" || links[0].Flags&net.FlagUp != 0 {
			t.Errorf("interfaces: got %v, want lo, down, first", links)
		}
	})
}

func TestPatternSelectsOneTest(t *testing.T) {
	tests := []struct{ name, input, want string }{
		{"plain", "TestA", "^TestA$"},
		{"subtest", "TestA/b.c", `^TestA$/^b\.c$`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := pattern(tt.input); got != tt.want {
				t.Errorf("pattern(%q): got %q, want %q", tt.input, got, tt.want)
			}
		})
	}
}

func TestRanDemandsThePass(t *testing.T) {
	if ran("testing: warning: no tests to run\nPASS\n", "TestA") {
		t.Error("no tests to run: got true, want false")
	}
	if !ran("=== RUN   TestA\n--- PASS: TestA (0.00s)\nPASS\n", "TestA") {
		t.Error("pass: got false, want true")
	}
}

func TestRefusedIsAboutNamespaces(t *testing.T) {
	if !refused(fmt.Errorf("fork/exec: %w", syscall.EPERM)) {
		t.Error("EPERM: got false, want true")
	}
	if refused(nil) || refused(errors.New("exit status 1")) {
		t.Error("no errno: got true, want false")
	}
}

func TestIPRunsInTheNamespace(t *testing.T) {
	Run(t, func(t *testing.T) {
		out := IP(t, "link set lo up\nlink show lo\n", "-oneline")
		if !strings.Contains(out, "LOOPBACK,UP") || strings.Count(out, "\n") != 1 {
			t.Errorf("link show lo: got %q, want it up, on one line", out)
		}
	})
}
