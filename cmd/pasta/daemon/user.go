package daemon

import (
	"fmt"
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

// Identity is a user and a group by number.
type Identity struct{ UID, GID int }

// becomeUser switches to runAs, if given, and from the real root to nobody: an
// ordinary user's rights are enough for a namespace of one's own. Files named on
// the command line are open by then.
func becomeUser(runAs *Identity, log *slog.Logger) error {
	id := wantedUser(runAs, log)
	if err := isolate.DropGroups(); err != nil {
		return messagef("Couldn't drop supplementary groups: %s", sys.Reason(err))
	}
	if err := isolate.BecomeUser(id.UID, id.GID); err != nil {
		return messagef("Couldn't change to user %d, group %d: %s", id.UID, id.GID, sys.Reason(err))
	}
	return nil
}

func wantedUser(runAs *Identity, log *slog.Logger) Identity {
	switch {
	case runAs != nil:
		return *runAs
	case os.Getuid() != 0 || !isolate.InInitialUserNamespace():
		return Identity{UID: os.Getuid(), GID: os.Getgid()}
	}
	log.Warn("Started as root, will change to nobody.")
	if id, err := ParseIdentity("nobody"); err == nil {
		return id
	}
	return Identity{UID: overflowID, GID: overflowID}
}

// ParseIdentity resolves "UID", "UID:GID", "LOGIN" or "LOGIN:GROUP". A number
// alone is the group, too; a login alone means its primary group.
func ParseIdentity(spec string) (Identity, error) {
	name, group, hasGroup := strings.Cut(spec, ":")
	id, ok := parseUser(name)
	if ok && hasGroup {
		id.GID, ok = parseGroup(group)
	}
	if !ok {
		return Identity{}, fmt.Errorf("parse identity %q: no such user or group", spec)
	}
	return id, nil
}

func parseUser(name string) (id Identity, ok bool) {
	if n, ok := parseID(name); ok {
		return Identity{UID: n, GID: n}, true
	}
	u, err := user.Lookup(name)
	if err != nil {
		return Identity{}, false
	}
	uid, okUID := parseID(u.Uid)
	gid, okGID := parseID(u.Gid)
	return Identity{UID: uid, GID: gid}, okUID && okGID
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
