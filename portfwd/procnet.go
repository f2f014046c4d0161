package portfwd

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"syscall"

	"github.com/pasta-net/pasta/core/sys"
)

// procBufLen is for one read; the kernel gives a page at a time.
const procBufLen = 8 << 10

// procNet lists sockets from /proc/net/tcp and its like (proc_net(5)).
type procNet struct {
	files [4]*os.File // in the order of sources; kept here for the garbage collector
	buf   []byte
}

// newProcNet opens the files in dir. The kernel remembers the network namespace of
// the thread that does.
func newProcNet(dir string) (*procNet, error) {
	p := &procNet{buf: make([]byte, procBufLen)}
	for i, name := range [...]string{"tcp", "tcp6", "udp", "udp6"} {
		f, err := os.Open(dir + "/" + name)
		if os.IsNotExist(err) && i%2 == 1 {
			continue // a kernel without IPv6
		}
		if err != nil {
			p.close()
			return nil, err
		}
		p.files[i] = f
	}
	return p, nil
}

func (p *procNet) close() {
	for _, f := range p.files {
		if f != nil {
			f.Close()
		}
	}
}

func (p *procNet) list(s source, _, into *PortSet) error {
	lists := sources()
	f := p.files[slices.Index(lists[:], s)]
	if f == nil {
		return nil
	}
	fd := int(f.Fd())
	used := 0 // bytes of an incomplete line at the front of buf
	for off := int64(0); ; {
		n, errno := sys.Pread(fd, p.buf[used:], off)
		if errno != 0 {
			return fmt.Errorf("read %s: %w", f.Name(), errno)
		}
		if n == 0 {
			return nil
		}
		off += int64(n)
		rest, more := parseProcNet(p.buf[:used+n], s, into)
		if !more {
			return nil
		}
		if used = copy(p.buf, rest); used == len(p.buf) {
			return fmt.Errorf("read %s: %w", f.Name(), syscall.EMSGSIZE)
		}
	}
}

// parseProcNet adds the ports in the complete lines of b and returns what follows
// the last of them. more is false if what follows need not be read: the kernel
// lists listening TCP sockets before all others (tcp_seq_start in
// net/ipv4/tcp_ipv4.c; see TestListenersComeFirst).
func parseProcNet(b []byte, s source, into *PortSet) (rest []byte, more bool) {
	for {
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			return b, true
		}
		port, state, ok := parseSocketLine(b[:end])
		b = b[end+1:]
		switch {
		case !ok: // the heading
		case state == s.state:
			into.Add(port)
		case s.proto == syscall.IPPROTO_TCP:
			return nil, false
		}
	}
}

// parseSocketLine reads the fields local_address and st of a line, which are
// hexadecimal: "  0: 0100007F:0016 00000000:0000 0A ...".
func parseSocketLine(line []byte) (port uint16, state uint8, ok bool) {
	_, line = cutField(line)
	local, line := cutField(line)
	_, line = cutField(line)
	st, _ := cutField(line)
	colon := bytes.IndexByte(local, ':')
	if colon < 0 {
		return 0, 0, false
	}
	p, okPort := parseHex(local[colon+1:], 4)
	v, okState := parseHex(st, 2)
	return uint16(p), uint8(v), okPort && okState
}

// cutField takes the first blank-separated field off line.
func cutField(line []byte) (field, rest []byte) {
	for len(line) > 0 && line[0] == ' ' {
		line = line[1:]
	}
	end := bytes.IndexByte(line, ' ')
	if end < 0 {
		end = len(line)
	}
	return line[:end], line[end:]
}

// parseHex reads a number of exactly so many hexadecimal digits.
func parseHex(b []byte, digits int) (v uint32, ok bool) {
	if len(b) != digits {
		return 0, false
	}
	for _, c := range b {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		default:
			return 0, false
		}
		v = v<<4 | uint32(c)
	}
	return v, true
}
