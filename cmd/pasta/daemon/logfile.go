package daemon

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"
)

const (
	// cutPercent of the size limit is cut from the beginning of a full file.
	cutPercent = 30
	pageSize   = 4096
)

// logFile is a sink that keeps a file below a size limit. The first line is a
// header, which survives when the oldest messages are cut.
type logFile struct {
	file  *os.File
	limit int64
	// size is where the next message goes.
	size int64
	// header is the first line without its line feed.
	header string
}

// logHeader is the first line of a log file: who writes it, with the process ID
// of the front.
func logHeader(o *Options, front int) string {
	exe, err := os.Executable()
	if err != nil {
		exe = os.Args[0]
	}
	return fmt.Sprintf("%s %s: %s (%d)", o.Name, o.Version, exe, front)
}

// openLogFile gives a sink that goes on at the end of file, or starts an empty
// one with the header. limit is in bytes.
func openLogFile(file *os.File, limit int, header string) (*logFile, error) {
	st, err := file.Stat()
	if err != nil {
		return nil, err
	}
	f := &logFile{file: file, limit: int64(limit), size: st.Size(), header: header}
	if f.size == 0 {
		f.append([]byte(header + "\n"))
	}
	return f, nil
}

func (f *logFile) write(e entry) {
	line := fmt.Appendf(nil, "%s: %s%s\n", e.stamp(), levelWord(e.level), e.text)
	if f.size+int64(len(line)) > f.limit {
		f.cut(e.since)
	}
	f.append(line)
}

// levelWord is the level in a column of nine characters.
func levelWord(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return "ERROR:   "
	case l >= slog.LevelWarn:
		return "WARNING: "
	case l >= slog.LevelInfo:
		return "info:    "
	}
	return "         "
}

func (f *logFile) append(b []byte) {
	n, _ := f.file.WriteAt(b, f.size)
	f.size += int64(n)
}

// cut drops the oldest part of the file, in whole lines, and tells so in a new
// header. If the rest cannot be read back, all of it goes: the limit holds.
func (f *logFile) cut(since time.Duration) {
	drop := f.limit * cutPercent / 100
	drop = (drop + pageSize - 1) / pageSize * pageSize
	rest, err := io.ReadAll(io.NewSectionReader(f.file, drop, f.size-drop))
	if err != nil {
		rest = nil
	}
	if i := bytes.IndexByte(rest, '\n'); i >= 0 {
		rest = rest[i+1:]
	}
	if err := f.file.Truncate(0); err != nil {
		return
	}
	f.size = 0
	f.append(fmt.Appendf(nil, "%s - log truncated at %.4f\n", f.header, since.Seconds()))
	f.append(rest)
}
