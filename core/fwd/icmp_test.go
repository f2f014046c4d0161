package fwd

import (
	"syscall"
	"testing"

	"github.com/pasta-net/pasta/core/packet"
	"github.com/pasta-net/pasta/core/sys"
)

func TestHostError(t *testing.T) {
	const icmp, icmp6, local = sys.OriginICMP, sys.OriginICMP6, sys.OriginLocal
	for _, tt := range []struct {
		name      string
		v6        bool
		err       sys.ExtendedErr
		offender  string
		want      bool
		typ, code uint8
		info      uint32
		src       string
	}{
		{"port", false, sys.ExtendedErr{Origin: icmp, Type: 3, Code: 3}, "127.0.0.1", true, 3, 3, 0, "10.66.0.1"},
		{"router", false, sys.ExtendedErr{Origin: icmp, Type: 11}, "10.1.1.1", true, 11, 0, 0, "10.1.1.1"},
		{"too big", false, sys.ExtendedErr{Origin: icmp, Type: 3, Code: 4, Errno: syscall.EMSGSIZE, Info: 1400}, "10.1.1.1", true, 3, 4, 1400, "10.1.1.1"},
		{"redirect", false, sys.ExtendedErr{Origin: icmp, Type: 5}, "10.1.1.1", false, 0, 0, 0, ""},
		{"family mixed up", false, sys.ExtendedErr{Origin: icmp6, Type: 1}, "", false, 0, 0, 0, ""},
		{"host itself", false, sys.ExtendedErr{Origin: icmp, Type: 3, Code: 1}, "10.66.0.2", true, 3, 1, 0, "10.66.0.1"},
		{"local route", false, sys.ExtendedErr{Origin: local, Errno: syscall.ENETUNREACH}, "", true, 3, 0, 0, "10.66.0.1"},
		{"local host", false, sys.ExtendedErr{Origin: local, Errno: syscall.EHOSTUNREACH}, "", true, 3, 1, 0, "10.66.0.1"},
		{"local size", false, sys.ExtendedErr{Origin: local, Errno: syscall.EMSGSIZE, Info: 1280}, "", true, 3, 4, 1280, "10.66.0.1"},
		{"local filter", false, sys.ExtendedErr{Origin: local, Errno: syscall.EPERM}, "", true, 3, 13, 0, "10.66.0.1"},
		{"local link down", false, sys.ExtendedErr{Origin: local, Errno: syscall.ENETDOWN}, "", true, 3, 0, 0, "10.66.0.1"},
		{"local other", false, sys.ExtendedErr{Origin: local, Errno: syscall.EINVAL}, "", false, 0, 0, 0, ""},
		{"local refusal", false, sys.ExtendedErr{Origin: local, Errno: syscall.ECONNREFUSED}, "", false, 0, 0, 0, ""},
		{"local size unknown", false, sys.ExtendedErr{Origin: local, Errno: syscall.EMSGSIZE}, "", false, 0, 0, 0, ""},
		{"local host down", false, sys.ExtendedErr{Origin: local, Errno: syscall.EHOSTDOWN}, "", true, 3, 1, 0, "10.66.0.1"},
		{"local address gone", false, sys.ExtendedErr{Origin: local, Errno: syscall.EADDRNOTAVAIL}, "", true, 3, 0, 0, "10.66.0.1"},
		{"port, IPv6", true, sys.ExtendedErr{Origin: icmp6, Type: 1, Code: 4}, "::1", true, 1, 4, 0, "fd66::1"},
		{"too big, IPv6", true, sys.ExtendedErr{Origin: icmp6, Type: 2, Errno: syscall.EMSGSIZE, Info: 1280}, "fd01::1", true, 2, 0, 1280, "fd01::1"},
		{"parameter, IPv6", true, sys.ExtendedErr{Origin: icmp6, Type: 4}, "fd01::1", false, 0, 0, 0, ""},
		{"local route, IPv6", true, sys.ExtendedErr{Origin: local, Errno: syscall.ENETUNREACH}, "", true, 1, 0, 0, "fd66::1"},
		{"local host, IPv6", true, sys.ExtendedErr{Origin: local, Errno: syscall.EHOSTUNREACH}, "", true, 1, 3, 0, "fd66::1"},
		{"local filter, IPv6", true, sys.ExtendedErr{Origin: local, Errno: syscall.EACCES}, "", true, 1, 1, 0, "fd66::1"},
		{"local size unknown, IPv6", true, sys.ExtendedErr{Origin: local, Errno: syscall.EMSGSIZE}, "", false, 0, 0, 0, ""},
		{"local size, IPv6", true, sys.ExtendedErr{Origin: local, Errno: syscall.EMSGSIZE, Info: 1280}, "", true, 2, 0, 1280, "fd66::1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			msg := packet.ICMPError{Dst: addr("10.66.0.2"), Peer: addr("10.66.0.1")}
			host := addr("127.0.0.1")
			if tt.v6 {
				msg, host = packet.ICMPError{Dst: addr("fd66::2"), Peer: addr("fd66::1")}, addr("::1")
			}
			tt.err.Offender = addr(tt.offender)
			ok := testMap(nil).HostError(&tt.err, host, &msg)
			if ok != tt.want || msg.Type != tt.typ || msg.Code != tt.code || msg.Info != tt.info || msg.Src != addr(tt.src) {
				t.Errorf("%v, type %d code %d info %d from %v, want %v, %d, %d, %d, %s",
					ok, msg.Type, msg.Code, msg.Info, msg.Src.Netip(), tt.want, tt.typ, tt.code, tt.info, tt.src)
			}
		})
	}
}

// A failed connect(2) has no offender, and TCP need not know the host-side address.
func TestErrorWithoutOffenderComesFromUs(t *testing.T) {
	for _, tt := range []struct {
		name, guest, peer, our, linkLocal, want string
	}{
		{"IPv4", "10.66.0.2", "10.1.1.1", "10.66.0.1", "", "10.66.0.1"},
		{"IPv4 without our address", "10.66.0.2", "10.1.1.1", "", "", "10.1.1.1"},
		{"IPv6", "fd66::2", "fd01::1", "fd66::1", "fe80::1", "fd66::1"},
		{"IPv6 without our address", "fd66::2", "fd01::1", "", "fe80::1", "fe80::1"},
		{"IPv6 without any", "fd66::2", "fd01::1", "", "", "fd01::1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := Map{OurLinkLocal: addr(tt.linkLocal)}
			m.Family(addr(tt.guest)).Our = addr(tt.our)
			msg := packet.ICMPError{Dst: addr(tt.guest), Peer: addr(tt.peer)}
			e := sys.ExtendedErr{Origin: sys.OriginLocal, Errno: syscall.EHOSTUNREACH}
			if !m.HostError(&e, packet.Addr{}, &msg) || msg.Src != addr(tt.want) {
				t.Errorf("from %v, want %s", msg.Src.Netip(), tt.want)
			}
		})
	}
}
