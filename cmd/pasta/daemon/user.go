package daemon

import (
	"log/slog"
	"os"
	"os/user"
	"strconv"
	"strings"

	"github.com/pasta-net/pasta/core/isolate"
	"github.com/pasta-net/pasta/core/sys"
)

// overflowID is the user and group nobody where no database knows better
// (the kernel's overflow ID).
const overflowID = 65534

// becomeUser switches to the user that --runas asks for, and from the real root
// to nobody: an ordinary user's rights are enough for a namespace of one's own.
// Files named on the command line are open by then.
func becomeUser(runAs string, log *slog.Logger) error {
	uid, gid, err := wantedUser(runAs, log)
	if err != nil {
		return err
	}
	if err := isolate.DropGroups(); err != nil {
		return messagef("Couldn't drop supplementary groups: %s", sys.Reason(err))
	}
	if err := isolate.BecomeUser(uid, gid); err != nil {
		return messagef("Couldn't change to user %d, group %d: %s", uid, gid, sys.Reason(err))
	}
	return nil
}

func wantedUser(runAs string, log *slog.Logger) (uid, gid int, err error) {
	switch {
	case runAs != "":
		return parseRunAs(runAs)
	case os.Getuid() != 0 || !isolate.InInitialUserNamespace():
		return os.Getuid(), os.Getgid(), nil
	}
	log.Warn("Started as root, will change to nobody.")
	if uid, gid, err = parseRunAs("nobody"); err != nil {
		return overflowID, overflowID, nil
	}
	return uid, gid, nil
}

// parseRunAs resolves "UID", "UID:GID", "LOGIN" or "LOGIN:GROUP". A number alone
// is the group, too; a login alone means its primary group.
func parseRunAs(spec string) (uid, gid int, err error) {
	name, group, hasGroup := strings.Cut(spec, ":")
	uid, gid, ok := parseUser(name)
	if ok && hasGroup {
		gid, ok = parseGroup(group)
	}
	if !ok {
		return 0, 0, messagef("Invalid --runas option: %s", spec)
	}
	return uid, gid, nil
}

func parseUser(name string) (uid, gid int, ok bool) {
	if id, ok := parseID(name); ok {
		return id, id, true
	}
	u, err := user.Lookup(name)
	if err != nil {
		return 0, 0, false
	}
	uid, okUID := parseID(u.Uid)
	gid, okGID := parseID(u.Gid)
	return uid, gid, okUID && okGID
}

func parseGroup(name string) (int, bool) {
	if id, ok := parseID(name); ok {
		return id, true
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, false
	}
	return parseID(g.Gid)
}

// parseID reads a number as C does: decimal, 0x hexadecimal or leading-zero
// octal. The largest value means "no change" to the kernel and is no ID.
func parseID(s string) (int, bool) {
	if strings.ContainsAny(s, "_oObB") {
		return 0, false // forms of Go's literals only
	}
	n, err := strconv.ParseUint(s, 0, 32)
	if err != nil || n == 1<<32-1 {
		return 0, false
	}
	return int(n), true
}
