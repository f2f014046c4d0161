package daemon

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// The readiness message is one byte. The end of file before it means that the
// daemon died, after it that the daemon has done all its work: in foreground it
// keeps the pipe open until then.
const (
	readyOK     = '0'
	readyFailed = '1'
)

// errReported is the failure of a daemon that told the reason itself.
var errReported = errors.New("daemon gave up")

// reportReady tells the front whether everything is bound and configured. It
// fails if the front is gone.
func reportReady(w *os.File, ok bool) error {
	status := byte(readyFailed)
	if ok {
		status = readyOK
	}
	if _, err := w.Write([]byte{status}); err != nil {
		return fmt.Errorf("report to the front: %w", err)
	}
	return nil
}

// readReady waits for the message of the daemon and gives nil if it is ready.
func readReady(r io.Reader) error {
	var status [1]byte
	_, err := io.ReadFull(r, status[:])
	switch {
	case errors.Is(err, io.EOF):
		return message("Daemon ended before it was ready")
	case err != nil:
		return fmt.Errorf("read from daemon: %w", err)
	case status[0] != readyOK:
		return errReported
	}
	return nil
}
