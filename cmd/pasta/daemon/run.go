package daemon

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"github.com/pasta-net/pasta/core/sys"
)

// message is an error in the words that callers of the command line know. They
// start with a capital, unlike those of Go errors.
type message string

// Error gives the text.
func (m message) Error() string { return string(m) }

// messagef formats a message.
func messagef(format string, args ...any) error { return message(fmt.Sprintf(format, args...)) }

// Reentry runs the process in its role if it is a re-execution of this program
// that needs no command line parsing. main calls it before anything else and
// exits with exit if handled. Does not return if all goes well.
func Reentry() (exit int, handled bool) {
	if !peekStub() {
		return 0, false
	}
	r, err := takeRole()
	if err == nil {
		err = runStub(r, os.Args[1:])
	}
	fmt.Fprintln(os.Stderr, err)
	return 1, true
}

// Run does one run as o tells and gives the exit status of the process. In a
// process that the front started for it, Run is the daemon's side. Run is
// called once, from the main goroutine.
func Run(o *Options) (exit int) {
	// The kernel ties the life of the daemon to the thread that made it.
	runtime.LockOSThread()
	catchForNothing()
	r, err := takeRole()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		return 1
	case r != nil:
		return serve(o, r)
	}
	return newFront(o).run()
}

// catchForNothing keeps signals from ending us that a log that nobody reads, or a
// file beyond the limit on sizes, would: the write fails, which is told. They are
// not ignored, because an ignored signal would stay so in the command.
func catchForNothing() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE, syscall.SIGXFSZ, syscall.SIGUSR1)
}

// worded gives err with the kernel's reason, if it ends with one, as the C
// library words it; nil for nil.
func worded(err error) error {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err
	}
	text, ok := strings.CutSuffix(err.Error(), errno.Error())
	if !ok {
		return err
	}
	return message(text + sys.Reason(errno))
}
