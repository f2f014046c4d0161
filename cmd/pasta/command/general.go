package command

import (
	"fmt"
	"os"
	"time"

	"github.com/pasta-net/pasta/cmd/pasta/daemon"
	"github.com/pasta-net/pasta/compat/cmdline"
	"github.com/pasta-net/pasta/compat/getopt"
)

// minLogSize is the smallest limit of the log file, in bytes.
const minLogSize = 5 * 8192

// maxStatsSeconds bounds --stats to what a timer holds with ease: one year.
const maxStatsSeconds = 365 * 24 * 3600

// generalOptions are the options of pasta-cli.md section 2.1.
func (s *settings) generalOptions() []option {
	o := &s.opts
	return []option{
		{
			name: "debug", short: "d", on: s.debug,
			usage: "Print debug messages on standard error, none to the system log",
		},
		{name: "trace", on: s.trace, usage: "Print messages per packet and event too, implies --debug"},
		{name: "quiet", short: "q", on: s.quiet, usage: "Print no information, only warnings and errors"},
		{
			name: "foreground", short: "f", on: getopt.TurnOn(&o.Foreground),
			usage: "Do not run in background, implied by a command",
		},
		{name: "stderr", short: "e", on: s.deprecatedStderr, usage: "Accepted without effect, for old callers"},
		{
			name: "log-file", short: "l", set: storePath("log-file", &o.LogFile), complete: CompleteFile,
			usage: "Log to `PATH` instead of the system log",
		},
		{
			name: "log-size", set: s.logSize, def: "1048576",
			usage: "Cut the file of --log-file when it exceeds `BYTES`, at least 40960",
		},
		{name: "runas", set: s.runAs, usage: "Run as `SPEC`: UID, UID:GID, LOGIN or LOGIN:GROUP"},
		{
			name: "pcap", short: "p", set: storePath("pcap", &o.PcapFile), complete: CompleteFile,
			usage: "Capture the frames of the namespace interface to `FILE`, a regular one",
		},
		{
			name: "pid", short: "P", set: storePath("pid", &o.PIDFile), complete: CompleteFile,
			usage: "Write the process ID to `FILE` when everything is set up",
		},
		{name: "fd", short: "F", set: s.checkFD, usage: "Accepted without effect: descriptor `FD` of a guest, for passt"},
		{
			name: "stats", set: s.stats,
			usage: "Print event counters at most every `SECONDS`, if anything happened; needs --foreground before it",
		},
		{
			name: "conf-path", short: "c", set: storePath("conf-path", &o.ConfPath), complete: CompleteFile,
			usage: "Let pesto show and change forwards through a socket at `PATH`",
		},
		{
			name: "api-socket", set: storePath("api-socket", &o.APISocket), complete: CompleteFile,
			usage: "Let rootlessctl show and change forwards through a socket at `PATH`",
		},
		{
			name: "chroot-fallback", on: getopt.TurnOn(&o.ChrootFallback),
			usage: "Use chroot where pivot_root fails, as with an initramfs as root",
		},
		{
			name: "help", short: "h", on: cmdline.Help,
			usage: "Print this help on standard output and exit",
		},
		{
			name: "version", on: cmdline.Say(versionText(o.Name, o.Version)),
			usage: "Print the version on standard output and exit",
		},
	}
}

// debug cancels --quiet but leaves --trace, which includes it.
func (s *settings) debug() error {
	s.opts.Level = max(s.opts.Level, daemon.LevelDebug)
	return nil
}

func (s *settings) trace() error {
	s.opts.Level = daemon.LevelTrace
	return nil
}

// quiet cancels --debug and --trace.
func (s *settings) quiet() error {
	s.opts.Level = daemon.LevelQuiet
	return nil
}

func (s *settings) deprecatedStderr() error {
	s.warn("--stderr will be dropped soon")
	return nil
}

func (s *settings) logSize(text string) error {
	size, err := parseInteger(text)
	if err != nil || size < minLogSize {
		return cmdline.Errorf("Invalid --log-size: %s", text)
	}
	s.opts.LogSize = size
	return nil
}

func (s *settings) runAs(text string) error {
	id, err := daemon.ParseIdentity(text)
	if err != nil {
		return cmdline.Errorf("Invalid --runas option: %s", text)
	}
	s.opts.RunAs = &id
	return nil
}

// checkFD validates -F, which pasta accepts for the sake of scripts shared with
// passt.
func (s *settings) checkFD(text string) error {
	fd, err := parseInteger(text)
	if err != nil || fd <= 2 {
		return cmdline.Errorf("Invalid --fd: %s", text)
	}
	if s.again {
		return nil
	}
	if _, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)); err != nil {
		return cmdline.Errorf("Could not move --fd descriptor: Bad file descriptor")
	}
	s.warn("--fd: no effect, it is for passt")
	return nil
}

// stats needs to know by then that the run stays in the foreground.
func (s *settings) stats(text string) error {
	if !s.opts.Foreground {
		return cmdline.Errorf("Can't display statistics if not running in foreground")
	}
	seconds, err := parseInteger(text)
	if err != nil || seconds < 1 || seconds > maxStatsSeconds {
		return cmdline.Errorf("Invalid statistics delay: %s", text)
	}
	s.opts.StatsEvery = time.Duration(seconds) * time.Second
	return nil
}
