package daemon

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// setRole puts a role into this test's environment as its process would find it.
func setRole(t *testing.T, r *role) {
	t.Helper()
	env, err := r.environ()
	if err != nil {
		t.Fatal(err)
	}
	_, value, _ := strings.Cut(env[len(env)-1], "=")
	t.Setenv(roleEnv, value)
}

func TestRoleSurvivesTheEnvironment(t *testing.T) {
	want := &role{
		Kind: roleDaemon, Start: time.Unix(1, 2), Front: 3, Ready: 104, Log: 105, Pcap: 106,
		Netns: "/run/netns/a b=\"c\"", Owner: 107,
	}
	setRole(t, want)
	got, err := takeRole()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("role (-want +got):\n%s", diff)
	}
	if v, ok := os.LookupEnv(roleEnv); ok {
		t.Errorf("environment afterwards: still has %q", v)
	}
}

func TestTakeRoleWithoutRole(t *testing.T) {
	if r, err := takeRole(); r != nil || err != nil {
		t.Errorf("front: got %v, %v, want nil", r, err)
	}
}

func TestTakeRoleRefusesGarbage(t *testing.T) {
	for _, v := range []string{"", "daemon", "daemon {", "king {}", `stub {"Go":"x"}`} {
		t.Setenv(roleEnv, v)
		if r, err := takeRole(); err == nil {
			t.Errorf("role %q: got %+v, want an error", v, r)
		}
	}
}

func FuzzTakeRole(f *testing.F) {
	f.Add("daemon {}")
	f.Add(`stub {"Go":3,"NewProc":true}`)
	f.Add(`daemon {"Ready":-1}`)
	f.Fuzz(func(t *testing.T, v string) {
		if strings.ContainsRune(v, 0) {
			return
		}
		t.Setenv(roleEnv, v)
		r, err := takeRole()
		if err == nil && r.Kind != roleDaemon && r.Kind != roleStub {
			t.Errorf("role %q: got kind %q", v, r.Kind)
		}
	})
}

func TestReentryIsForStubsOnly(t *testing.T) {
	if exit, handled := Reentry(); handled {
		t.Errorf("front: handled with exit %d", exit)
	}
	setRole(t, &role{Kind: roleDaemon})
	if exit, handled := Reentry(); handled {
		t.Errorf("daemon: handled with exit %d, want the command line parsed", exit)
	}
}

func TestReadyMessage(t *testing.T) {
	tests := []struct {
		name string
		send func(w *os.File) error
		want string
	}{
		{"ready", func(w *os.File) error { return reportReady(w, true) }, "<nil>"},
		{"failed", func(w *os.File) error { return reportReady(w, false) }, errReported.Error()},
		{"died", func(*os.File) error { return nil }, "Daemon ended before it was ready"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if err := tt.send(w); err != nil {
				t.Fatal(err)
			}
			w.Close()
			if got := fmt.Sprint(readReady(r)); got != tt.want {
				t.Errorf("message: got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestReportReadyWithoutFront(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r.Close()
	if err := reportReady(w, true); err == nil {
		t.Error("report to nobody: got nil, want an error")
	}
}

func TestReadReadyPassesErrors(t *testing.T) {
	if err := readReady(iotestErrReader{}); err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("broken pipe: got %v, want its error", err)
	}
}

type iotestErrReader struct{}

func (iotestErrReader) Read([]byte) (int, error) { return 0, fmt.Errorf("broken") }

var _ io.Reader = iotestErrReader{}

// TestMain runs the test binary as the stub if it was started as such.
func TestMain(m *testing.M) {
	if exit, handled := Reentry(); handled {
		os.Exit(exit)
	}
	os.Exit(m.Run())
}

// stubProcess starts this test binary as a stub of the command; it prepares
// nothing that the test process could not do itself, so it only warns.
func stubProcess(t *testing.T, command ...string) (c *exec.Cmd, goPipe *os.File, out *strings.Builder) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	env, err := (&role{Kind: roleStub, Go: 3}).environ()
	if err != nil {
		t.Fatal(err)
	}
	out = new(strings.Builder)
	c = exec.Command("unshare", append([]string{"-Urun", "/proc/self/exe"}, command...)...)
	c.Args[2], _ = os.Executable()
	c.Env, c.ExtraFiles, c.Stdout, c.Stderr = env, []*os.File{r}, out, out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	r.Close()
	return c, w, out
}

func TestStubBecomesTheCommand(t *testing.T) {
	c, goPipe, out := stubProcess(t, "sh", "-c", "echo $0 $# $(env | grep -c "+roleEnv+"); exit 6", "zero", "one")
	if _, err := goPipe.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait() // the status is checked below
	if got := c.ProcessState.ExitCode(); got != 6 || out.String() != "zero 1 0\n" {
		t.Errorf("command: got status %d, output %q, want 6, \"zero 1 0\"", got, out)
	}
}

func TestStubWithoutNetworkEnds(t *testing.T) {
	c, goPipe, out := stubProcess(t, "echo", "started")
	goPipe.Close()
	_ = c.Wait() // the status is checked below
	if got := c.ProcessState.ExitCode(); got != 1 || out.String() != "" {
		t.Errorf("stub: got status %d, output %q, want 1 and none", got, out)
	}
}
