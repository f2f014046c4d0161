package sys

import (
	"bytes"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

var (
	loopback4 = [16]byte{10: 0xff, 11: 0xff, 12: 127, 15: 1}
	loopback6 = [16]byte{15: 1}
)

// boundSocket is a socket of a type bound to a loopback address, and where it is bound.
func boundSocket(t testing.TB, addr [16]byte, typ int) (int, SockAddr) {
	t.Helper()
	fd, errno := Socket(Family(addr), typ, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	t.Cleanup(func() { Close(fd) })
	a := MakeSockAddr(addr, 0, 0)
	if errno := Bind(fd, &a); errno != 0 {
		t.Fatal(errno)
	}
	if errno := LocalAddr(fd, &a); errno != 0 {
		t.Fatal(errno)
	}
	return fd, a
}

func udpSocket(t testing.TB, addr [16]byte) (int, SockAddr) {
	t.Helper()
	return boundSocket(t, addr, syscall.SOCK_DGRAM)
}

func TestSendAndReceiveBatch(t *testing.T) {
	for _, addr := range [][16]byte{loopback4, loopback6} {
		from, fromAddr := udpSocket(t, addr)
		to, toAddr := udpSocket(t, addr)
		if errno := SetPktInfo(to, Family(addr)); errno != 0 {
			t.Fatal(errno)
		}
		out, in := NewSendBatch(4, 8), NewRecvBatch(8, 2000)
		want := [][]byte{[]byte("one"), {}, []byte("three parts"), bytes.Repeat([]byte("x"), 3000)}
		for i, payload := range want {
			out.Begin(&toAddr)
			if i == 2 {
				out.Add(payload[:5])
				payload = payload[5:]
			}
			out.Add(payload)
		}
		if n, errno := out.Send(from, 0); n != 4 || errno != 0 {
			t.Fatalf("Send = %d, %v, want 4, 0", n, errno)
		}
		n, errno := in.Recv(to, 8, 0)
		if n != 4 || errno != 0 {
			t.Fatalf("Recv = %d, %v, want 4, 0", n, errno)
		}
		for i, payload := range want {
			cut := len(payload) > 2000
			if got := in.Payload(i); !bytes.Equal(got, payload[:min(len(payload), 2000)]) || in.Truncated(i) != cut {
				t.Errorf("datagram %d: %d bytes, cut %v, want %d, %v", i, len(got), in.Truncated(i), len(payload), cut)
			}
			gotAddr, gotPort := in.From(i).AddrPort()
			wantAddr, wantPort := fromAddr.AddrPort()
			if gotAddr != wantAddr || gotPort != wantPort {
				t.Errorf("datagram %d is from %v, want %v", i, in.From(i).Netip(), fromAddr.Netip())
			}
			var c Control
			if in.Control(i, &c); c.Dst != addr {
				t.Errorf("datagram %d: destination %v, want %v", i, c, addr)
			}
		}
		if _, errno := in.Recv(to, 8, 0); errno != unix.EAGAIN {
			t.Errorf("Recv on an empty socket = %v, want EAGAIN", errno)
		}
	}
}

// TestSegmentationOffload checks what we rely on: one message becomes datagrams
// (Linux 4.18) and a receiver may get them joined again (Linux 5.0).
func TestSegmentationOffload(t *testing.T) {
	from, _ := udpSocket(t, loopback4)
	plain, plainAddr := udpSocket(t, loopback4)
	joined, joinedAddr := udpSocket(t, loopback4)
	if errno := SetUDPGRO(joined); errno != 0 {
		t.Fatal(errno)
	}
	out, in := NewSendBatch(2, 4), NewRecvBatch(8, 1<<16)
	payload := bytes.Repeat([]byte("0123456789"), 25)
	for _, to := range []*SockAddr{&plainAddr, &joinedAddr} {
		out.Begin(to)
		out.Add(payload[:200])
		out.Add(payload[200:])
		out.SetSegment(100)
	}
	if n, errno := out.Send(from, 0); n != 2 || errno != 0 {
		t.Fatalf("Send = %d, %v, want 2, 0", n, errno)
	}
	if n, errno := in.Recv(plain, 8, 0); n != 3 || errno != 0 || len(in.Payload(2)) != 50 {
		t.Errorf("plain socket got %d datagrams, %v, want 3", n, errno)
	}
	n, errno := in.Recv(joined, 8, 0)
	var c Control
	in.Control(0, &c)
	if n != 1 || errno != 0 || c.Segment != 100 || !bytes.Equal(in.Payload(0), payload) {
		t.Errorf("joining socket got %d of %d bytes in segments of %d, %v, want 1 of 250, 100", n, len(in.Payload(0)), c.Segment, errno)
	}
}

func TestSourceAddress(t *testing.T) {
	other4 := [16]byte{10: 0xff, 11: 0xff, 12: 127, 15: 9}
	for _, tt := range []struct {
		name     string
		wildcard [16]byte
		src, to  [16]byte
	}{
		{"IPv4", [16]byte{10: 0xff, 11: 0xff}, other4, loopback4},
		{"IPv6", [16]byte{}, loopback6, loopback6},
		{"IPv4 on a dual-stack socket", [16]byte{}, other4, loopback4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			from, fromAddr := udpSocket(t, tt.wildcard)
			to, toAddr := udpSocket(t, tt.to)
			if _, port := toAddr.AddrPort(); fromAddr.Family() == unix.AF_INET6 {
				toAddr = MakeSockAddr6(tt.to, port, 0)
			}
			out, in := NewSendBatch(1, 1), NewRecvBatch(1, 100)
			out.Begin(&toAddr)
			out.Add([]byte("x"))
			out.SetSource(fromAddr.Family(), tt.src, 0)
			if _, errno := out.Send(from, 0); errno != 0 {
				t.Fatal(errno)
			}
			if _, errno := in.Recv(to, 1, 0); errno != 0 {
				t.Fatal(errno)
			}
			if src, _ := in.From(0).AddrPort(); src != tt.src {
				t.Errorf("source %v, want %v", src, tt.src)
			}
		})
	}
}

// closedPort is a port of a loopback address where nobody listens.
func closedPort(t *testing.T, addr [16]byte) (a SockAddr) {
	t.Helper()
	t.Run("find a port", func(t *testing.T) { _, a = udpSocket(t, addr) })
	return a
}

func TestErrorQueue(t *testing.T) {
	for _, addr := range [][16]byte{loopback4, loopback6} {
		from, _ := udpSocket(t, addr)
		closedAddr := closedPort(t, addr)
		if errno := SetRecvErr(from, Family(addr)); errno != 0 {
			t.Fatal(errno)
		}
		out := NewSendBatch(1, 1)
		out.Begin(&closedAddr)
		out.Add([]byte("payload"))
		if _, errno := out.Send(from, 0); errno != 0 {
			t.Fatal(errno)
		}
		in := NewRecvBatch(4, 100)
		if n := in.RecvErrors(from); n != 1 {
			t.Fatalf("RecvErrors = %d, want 1", n)
		}
		if errno := SocketError(from); errno != 0 {
			t.Errorf("%v is still pending", errno)
		}
		var c Control
		in.Control(0, &c)
		want := ExtendedErr{Errno: unix.ECONNREFUSED, Origin: OriginICMP, Type: 3, Code: 3, Offender: addr}
		if addr == loopback6 {
			want.Origin, want.Type, want.Code = OriginICMP6, 1, 4
		}
		if !c.HasErr || c.Err != want || string(in.Payload(0)) != "payload" {
			t.Errorf("error %+v about %q, want %+v about \"payload\"", c.Err, in.Payload(0), want)
		}
		if to, port := in.From(0).AddrPort(); to != addr || port == 0 {
			t.Errorf("destination %v, want %v", in.From(0).Netip(), closedAddr.Netip())
		}
		if n := in.RecvErrors(from); n != 0 {
			t.Errorf("RecvErrors of an empty queue = %d, want 0", n)
		}
	}
}

func TestTTL(t *testing.T) {
	for _, addr := range [][16]byte{loopback4, loopback6} {
		fd, _ := udpSocket(t, addr)
		if errno := SetTTL(fd, Family(addr), 7, false); errno != 0 {
			t.Fatal(errno)
		}
		if got, errno := TTL(fd, Family(addr)); got != 7 || errno != 0 {
			t.Errorf("TTL = %d, %v, want 7", got, errno)
		}
		if errno := SetTTL(fd, Family(addr), 9, true); errno != 0 {
			t.Errorf("SetTTL for multicast = %v", errno)
		}
	}
}

func TestBatchesAllocateNothing(t *testing.T) {
	from, _ := udpSocket(t, loopback4)
	to, toAddr := udpSocket(t, loopback4)
	out, in := NewSendBatch(4, 8), NewRecvBatch(4, 2000)
	payload := make([]byte, 1000)
	if n := testing.AllocsPerRun(100, func() {
		out.Reset()
		out.Begin(&toAddr)
		out.Add(payload)
		out.Add(payload)
		out.SetSegment(1000)
		_, _ = out.Send(from, 0)
		n, _ := in.Recv(to, 4, 0)
		for i := range n {
			var c Control
			in.Control(i, &c)
		}
	}); n != 0 {
		t.Errorf("%v allocations per batch, want 0", n)
	}
}

func FuzzControl(f *testing.F) {
	b := NewSendBatch(1, 1)
	b.Begin(nil)
	b.SetSource(unix.AF_INET, loopback4, 3)
	b.SetSource(unix.AF_INET6, loopback6, 3)
	b.SetSegment(100)
	f.Add(b.control[:int(b.msgs[0].hdr.Controllen)])
	recvErr := make([]byte, unix.CmsgSpace(44))
	putControlHeader(recvErr, unix.SOL_IPV6, unix.IPV6_RECVERR, 44)
	recvErr[unix.CmsgLen(0)+4] = OriginICMP6
	f.Add(recvErr)
	gro := make([]byte, unix.CmsgSpace(4))
	putControlHeader(gro, unix.SOL_UDP, unix.UDP_GRO, 4)
	gro[unix.CmsgLen(0)] = 100
	f.Add(gro)
	f.Fuzz(func(t *testing.T, b []byte) {
		var c Control
		c.Parse(b)
		if c.Segment < 0 {
			t.Errorf("segment size %d", c.Segment)
		}
		if !c.HasErr && c.Err != (ExtendedErr{}) {
			t.Errorf("values without their mark: %+v", c)
		}
	})
}

// TestControlSeeds proves that the seeds of FuzzControl reach the decoders.
func TestControlSeeds(t *testing.T) {
	b := NewSendBatch(1, 1)
	b.Begin(nil)
	b.SetSource(unix.AF_INET6, loopback6, 3)
	b.SetSource(unix.AF_INET, loopback4, 4)
	var c Control
	c.Parse(b.control[:int(b.msgs[0].hdr.Controllen)])
	if c.Local != loopback4 {
		t.Errorf("packet information %+v, want %v", c, loopback4)
	}
	c.Parse([]byte{1, 0, 0})
	if c != (Control{}) {
		t.Errorf("short control data gave %+v", c)
	}
}
