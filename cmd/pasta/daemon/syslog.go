package daemon

import (
	"fmt"
	"log/slog"
	"net"
	"time"
)

// syslogPath is where the system's log listens for datagrams.
const syslogPath = "/dev/log"

// Severities and the facility "daemon" of RFC 5424 section 6.2.1.
const (
	facilityDaemon  = 3 << 3
	severityErr     = 3
	severityWarning = 4
	severityInfo    = 6
	severityDebug   = 7
)

// syslogPatience is how long a full system log may hold up our messages.
const syslogPatience = 100 * time.Millisecond

// syslogSink sends datagrams to the system log in the form "<PRI> NAME: text";
// the log adds the time.
type syslogSink struct {
	conn net.Conn
	name string
}

// dialSyslog connects to the system log, before the file system is out of
// reach.
func dialSyslog(path, name string) (*syslogSink, error) {
	c, err := net.Dial("unixgram", path)
	if err != nil {
		return nil, fmt.Errorf("connect to system log %q: %w", path, err)
	}
	return &syslogSink{conn: c, name: name}, nil
}

func (s *syslogSink) write(e entry) {
	// A deadline that cannot be set leaves a write without limit, which the
	// queue stands.
	_ = s.conn.SetWriteDeadline(time.Now().Add(syslogPatience))
	fmt.Fprintf(s.conn, "<%d> %s: %s", facilityDaemon|severity(e.level), s.name, e.text)
}

func severity(l slog.Level) int {
	switch {
	case l >= slog.LevelError:
		return severityErr
	case l >= slog.LevelWarn:
		return severityWarning
	case l >= slog.LevelInfo:
		return severityInfo
	}
	return severityDebug
}
