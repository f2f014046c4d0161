package ctlsock

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/pasta-net/pasta/core/sys"
)

// Why clients are refused.
var (
	errPeerUser = errors.New("client is another user")
	errPeerAway = errors.New("client is in another network namespace")
)

// peer is the process at the other end of a connection, as it was when it
// connected.
type peer struct {
	pid int
	uid uint32
	// netns identifies the network namespace of the client; 0: unknown.
	netns uint64
}

// check refuses clients of other users than the one whose socket it is and root,
// whatever the mode of the file by now, and those outside of the network namespace
// home: the guest must not have a say in what reaches it, and could make itself further
// namespaces, but not get into that one. Users that our user namespace does not
// know all look the same; the mode of the file, 0600, has told them apart.
func (p *peer) check(owner uint32, home uint64) error {
	switch {
	case p.uid != owner && p.uid != 0:
		return fmt.Errorf("%w: UID %d", errPeerUser, p.uid)
	case p.netns != 0 && home != 0 && p.netns != home:
		return errPeerAway
	}
	return nil
}

// ownerOf is the user who made the socket in file.
func ownerOf(file *os.File) (uint32, error) {
	info, err := file.Stat()
	if err != nil {
		return 0, fmt.Errorf("look at control socket: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, fmt.Errorf("look at control socket: %w", syscall.EINVAL)
	}
	return st.Uid, nil
}

func peerOf(conn *net.UnixConn) (p peer, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return p, err
	}
	var inner error
	err = raw.Control(func(fd uintptr) { p, inner = peerOfFD(int(fd)) })
	return p, errors.Join(err, inner)
}

func peerOfFD(fd int) (p peer, err error) {
	cred, err := syscall.GetsockoptUcred(fd, syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	if err != nil {
		return p, fmt.Errorf("read peer credentials: %w", err)
	}
	// Linux makes the accepted socket in the client's network namespace
	// (unix_stream_connect). Kernels before 5.14 do not tell which that is.
	cookie, _ := sys.NetnsCookie(fd)
	return peer{pid: int(cred.Pid), uid: cred.Uid, netns: cookie}, nil
}
