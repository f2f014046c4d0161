package portfwd

import (
	"encoding/binary"
	"errors"
	"net"
	"strconv"
	"syscall"
	"testing"
)

func netAddress(port uint16) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))) }

// diagMessage builds a netlink message.
func diagMessage(typ uint16, seq uint32, payload []byte) []byte {
	b := make([]byte, nlHeaderLen+(len(payload)+3)&^3)
	ne := binary.NativeEndian
	ne.PutUint32(b, uint32(nlHeaderLen+len(payload)))
	ne.PutUint16(b[4:], typ)
	ne.PutUint32(b[8:], seq)
	copy(b[nlHeaderLen:], payload)
	return b
}

func diagSocket(port uint16) []byte {
	b := make([]byte, diagMsgLen)
	binary.BigEndian.PutUint16(b[diagPort:], port)
	return b
}

func TestParseDiag(t *testing.T) {
	join := func(parts ...[]byte) (b []byte) {
		for _, p := range parts {
			b = append(b, p...)
		}
		return b
	}
	enoent := make([]byte, 20)
	binary.NativeEndian.PutUint32(enoent, ^uint32(syscall.ENOENT)+1)
	sock := func(seq uint32, port uint16) []byte { return diagMessage(sockDiagByFamily, seq, diagSocket(port)) }
	done := diagMessage(syscall.NLMSG_DONE, 7, make([]byte, 4))
	tests := []struct {
		name string
		in   []byte
		want *PortSet
		done bool
		err  error
	}{
		{"sockets", join(sock(7, 80), sock(7, 443)), setOf(80, 443), false, nil},
		{"end", join(sock(7, 80), done, sock(7, 81)), setOf(80), true, nil},
		{"of an earlier request", join(sock(6, 80), sock(7, 81)), setOf(81), false, nil},
		{"error", diagMessage(syscall.NLMSG_ERROR, 7, enoent), setOf(), false, syscall.ENOENT},
		{"short error", diagMessage(syscall.NLMSG_ERROR, 7, nil), setOf(), false, errDiag},
		{"short socket", diagMessage(sockDiagByFamily, 7, make([]byte, 8)), setOf(), false, errDiag},
		{"length too large", append(sock(7, 80)[:4:4], make([]byte, 12)...), setOf(), false, errDiag},
		{"empty", nil, setOf(), false, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got PortSet
			end, err := parseDiag(tt.in, 7, &got)
			if end != tt.done || !errors.Is(err, tt.err) || got != *tt.want {
				t.Errorf("done %v, error %v, ports as wanted %v; want %v, %v", end, err, got == *tt.want, tt.done, tt.err)
			}
		})
	}
}

func FuzzParseDiag(f *testing.F) {
	f.Add(diagMessage(sockDiagByFamily, 1, diagSocket(80)), uint32(1))
	f.Add(diagMessage(syscall.NLMSG_ERROR, 1, make([]byte, 20)), uint32(1))
	f.Fuzz(func(t *testing.T, b []byte, seq uint32) {
		var got PortSet
		if done, err := parseDiag(b, seq, &got); done && err != nil {
			t.Errorf("parseDiag(% x): both complete and %v", b, err)
		}
	})
}
