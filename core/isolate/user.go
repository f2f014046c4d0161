package isolate

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// InInitialUserNamespace tells whether the process is in the machine's first
// user namespace, where UID 0 is the real root: the one that maps all IDs to
// themselves (user_namespaces(7)). Without procfs the safe answer is yes.
func InInitialUserNamespace() bool {
	b, err := os.ReadFile("/proc/self/uid_map")
	return err != nil || isIdentityMap(string(b))
}

func isIdentityMap(uidMap string) bool {
	return strings.Join(strings.Fields(uidMap), " ") == "0 0 4294967295"
}

// DropGroups gives up all supplementary groups, if permitted.
func DropGroups() error {
	if err := syscall.Setgroups(nil); err != nil && !errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("drop supplementary groups: %w", err)
	}
	return nil
}

// BecomeUser switches all threads to uid and gid for good. The kernel then
// forbids other processes of that user to look into this one, and so would it
// forbid us to write the ID maps of our own children: this is undone.
func BecomeUser(uid, gid int) error {
	if uid == os.Getuid() && gid == os.Getgid() {
		return nil
	}
	if err := syscall.Setresgid(gid, gid, gid); err != nil {
		return fmt.Errorf("set group ID to %d: %w", gid, err)
	}
	if err := syscall.Setresuid(uid, uid, uid); err != nil {
		return fmt.Errorf("set user ID to %d: %w", uid, err)
	}
	return SetDumpable(true)
}
