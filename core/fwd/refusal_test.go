package fwd

import (
	"syscall"
	"testing"
)

func TestRefusal(t *testing.T) {
	const refused, host, net, timeout, denied = syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH,
		syscall.ETIMEDOUT, syscall.EACCES
	for _, tt := range []struct {
		name string
		how  Refusal
		want map[syscall.Errno]syscall.Errno
	}{
		{"as host", RefuseAsHost, map[syscall.Errno]syscall.Errno{refused: refused, host: host, net: net, timeout: timeout, denied: denied}},
		{"unreachable", RefuseUnreachable, map[syscall.Errno]syscall.Errno{refused: refused, host: host, net: net, timeout: net, denied: net}},
		{"reset", RefuseReset, map[syscall.Errno]syscall.Errno{refused: refused, host: refused, net: refused, timeout: refused}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for errno, want := range tt.want {
				if got := tt.how.Errno(errno); got != want {
					t.Errorf("Errno(%v) = %v, want %v", errno, got, want)
				}
			}
		})
	}
}
