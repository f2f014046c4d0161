package daemon

import (
	"time"

	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/netcfg"
	"github.com/pasta-net/pasta/portfwd"
)

// LogLevel is the verbosity of a run.
type LogLevel int

// Levels from -q to --trace; LevelDefault is info, but warning for a spawned command.
const (
	LevelDefault LogLevel = iota
	LevelQuiet
	LevelDebug
	LevelTrace
)

// Target tells which namespace to connect.
// Exactly one of Command (possibly the empty default shell), PID and Netns is used.
type Target struct {
	// Spawn is set when a command or shell runs in new namespaces.
	Spawn bool
	// Command and its arguments; empty with Spawn: the login shell.
	Command []string
	// PID of a process whose namespaces are joined; 0: none.
	PID int
	// Netns is the path of a network namespace; /run/netns/NAME for a name.
	Netns string
	// Userns is the user namespace to join first. Empty with NetnsOnly: none.
	Userns string
	// NetnsOnly: neither join nor create a user namespace.
	NetnsOnly bool
	// NoNetnsQuit: do not watch for removal of the namespace.
	NoNetnsQuit bool
	// NoPIDNS: the command stays in the caller's PID namespace.
	NoPIDNS bool
}

// Options is one run as asked for on a command line, validated as far as that
// is possible without looking at the host.
type Options struct {
	// Name is the personality, for messages ("pasta").
	Name string
	// Version is the release text for the log header.
	Version string

	Level      LogLevel
	Foreground bool
	// LogFile with its size limit in bytes; empty: syslog when in background.
	LogFile string
	LogSize int
	// PIDFile, PcapFile: empty for none.
	PIDFile, PcapFile string
	// StatsEvery is how often event counters are logged at most; 0: never.
	StatsEvery time.Duration
	// ChrootFallback: use chroot(2) where pivot_root(2) fails.
	ChrootFallback bool
	// RunAs is the user to become (--runas); nil: as becomes the one who started us.
	RunAs *Identity

	Target Target
	Net    netcfg.Options

	TCP, UDP, ICMP bool
	// Forwards are the rules of both directions (-t, -u, -T, -U).
	Forwards portfwd.Rules
	FreeBind bool
	// ConfPath is where the control socket for forwards is; empty: none.
	ConfPath string
	// APISocket is where the socket of RootlessKit's API is; empty: none.
	APISocket string
	// Bypass tells which flows do not take the interface.
	Bypass fwd.Bypass

	Offload config.Offload
}
