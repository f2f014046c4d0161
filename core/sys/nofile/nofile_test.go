// The test is outside the package, which must not import what tests need.
package nofile_test

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/pasta-net/pasta/core/sys/nofile"
)

// childEnv makes the test binary print its limits instead of running tests.
const childEnv = "PASTA_TEST_NOFILE"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) == "" {
		os.Exit(m.Run())
	}
	soft, hard, ok := nofile.Original()
	var now syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &now); err != nil {
		fmt.Println(err)
	}
	fmt.Println(ok, soft, hard == now.Max, now.Cur > soft)
}

func TestOriginal(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command("sh", "-c", "ulimit -Sn 123; exec \"$0\"", exe)
	c.Env = append(os.Environ(), childEnv+"=1")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	// The last word: the runtime has raised the limit, or nobody needs us.
	if got, want := string(out), "true 123 true true\n"; got != want {
		t.Errorf("limit at the start: got %q, want %q", got, want)
	}
}
