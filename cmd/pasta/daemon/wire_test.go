package daemon

import (
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pasta-net/pasta/core/config"
)

func TestTellOrder(t *testing.T) {
	var r recorder
	log, q := newLogger(slog.LevelInfo, time.Now(), []sink{&r})
	tell(log, []string{"one", "    two"}, []string{"careful"})
	q.flush()
	want := []string{"WARNING: careful", "info:    one", "info:        two"}
	if diff := cmp.Diff(want, r.lines); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestTapError(t *testing.T) {
	tests := []struct {
		errno syscall.Errno
		want  string
	}{
		{syscall.EINVAL, "open failed: Invalid argument\nFailed to set up tap device in namespace"},
		{syscall.EBUSY, "open failed: Device or resource busy\n" +
			"Interface eth7 of the namespace is in use: end who uses it, or choose another name with --ns-ifname\n" +
			"Failed to set up tap device in namespace"},
	}
	for _, tt := range tests {
		if got := tapError(fmt.Errorf("open failed: %w", tt.errno), "eth7").Error(); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.errno, got, tt.want)
		}
	}
}

func TestSysctl(t *testing.T) {
	b, err := os.ReadFile("/proc/sys/net/ipv4/tcp_syn_retries")
	if err != nil {
		t.Fatal(err)
	}
	want, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	timeouts := config.Timeouts{UDP: time.Minute}
	hostTimeouts(&timeouts)
	if timeouts.UDP != time.Minute {
		t.Errorf("timeout of UDP flows: got %v, want the personality's", timeouts.UDP)
	}
	if got := timeouts.TCPSynRetries; got != want {
		t.Errorf("tcp_syn_retries: got %d, want %d", got, want)
	}
	linear, known := sysctl("tcp_syn_linear_timeouts")
	if got := timeouts.TCPSynLinear; (got != nil) != known || (known && *got != linear) {
		t.Errorf("tcp_syn_linear_timeouts: got %v, want %d if known (%v)", got, linear, known)
	}
	for _, name := range []string{"no_such_sysctl", "tcp_rmem"} {
		if got, ok := sysctl(name); ok || got != 0 {
			t.Errorf("sysctl %s: got %d, %v, want none, for none or no number", name, got, ok)
		}
	}
}
