package vpnkit

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/pasta-net/pasta/portfwd/ctlsock"
)

// listen opens the socket for clients: a path, where it stays after the end, or
// "fd:N" for one that was inherited, bound.
func listen(where string, backlog int) (net.Listener, error) {
	file, err := openSocket(where)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", where, err)
	}
	defer file.Close()
	// A socket that was inherited may only be bound; of another this sets the queue.
	if err := syscall.Listen(int(file.Fd()), backlog); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", where, err)
	}
	l, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", where, err)
	}
	return l, nil
}

func openSocket(where string) (*os.File, error) {
	number, inherited := strings.CutPrefix(where, "fd:")
	if !inherited {
		return ctlsock.Listen(where)
	}
	fd, err := strconv.ParseUint(number, 10, 31)
	if err != nil {
		return nil, fmt.Errorf("no descriptor %q", number)
	}
	return os.NewFile(uintptr(fd), where), nil
}
