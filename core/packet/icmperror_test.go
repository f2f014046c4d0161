package packet

import (
	"bytes"
	"net/netip"
	"testing"
)

func TestPutICMPError(t *testing.T) {
	addr := func(s string) Addr { return AddrFrom(netip.MustParseAddr(s)) }
	for _, tt := range []struct {
		name        string
		e           ICMPError
		payloadLen  int
		wantPayload int
	}{
		{"IPv4", ICMPError{Src: addr("10.0.0.9"), Dst: addr("10.0.0.2"), Peer: addr("10.0.0.1"), Type: 3, Code: 3}, 8, 8},
		{"IPv4, long", ICMPError{Src: addr("10.0.0.9"), Dst: addr("10.0.0.2"), Peer: addr("10.0.0.1"), Type: 3, Code: 4, Info: 1400}, 2000, 520},
		{"IPv6", ICMPError{Src: addr("fd00::9"), Dst: addr("fd00::2"), Peer: addr("fd00::1"), Type: 1, Code: 4}, 9, 9},
		{"IPv6, long", ICMPError{Src: addr("fd00::9"), Dst: addr("fd00::2"), Peer: addr("fd00::1"), Type: 2, Info: 1280}, 2000, 1184},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.e.Proto = ProtoUDP
			var udp [UDPLen]byte
			payload := bytes.Repeat([]byte{0xee}, tt.payloadLen)
			PutUDP(udp[:], 1000, 2000, len(payload))
			var b [EthLen + MaxICMPError]byte
			etherType := uint16(EtherTypeIP6)
			if tt.e.Dst.Is4() {
				etherType = EtherTypeIP4
			}
			PutEthernet(b[:], Broadcast, MAC{2}, etherType)
			n := PutICMPError(b[EthLen:], &tt.e, udp[:], payload, UDPCsumOff)

			var p Packet
			if d := p.Parse(b[:EthLen+n]); d != DropNone || !p.VerifyL4() {
				t.Fatalf("%v, checksum %v: % x", d, p.VerifyL4(), b[:EthLen+n])
			}
			m := ICMP(p.L4)
			if p.Src != tt.e.Src || p.Dst != tt.e.Dst || m.Type() != tt.e.Type || m.Code() != tt.e.Code || uint32(m.Seq()) != tt.e.Info {
				t.Errorf("%v > %v type %d code %d info %d, want %+v", p.Src.Netip(), p.Dst.Netip(), m.Type(), m.Code(), m.Seq(), tt.e)
			}
			var q Quoted
			want := Quoted{Src: tt.e.Dst, Dst: tt.e.Peer, Proto: ProtoUDP, SrcPort: 1000, DstPort: 2000}
			if !ParseQuoted(m, &q) || q != want {
				t.Errorf("quotes %+v, want %+v", q, want)
			}
			quote := IPHeader{Src: tt.e.Dst}
			if got := len(m) - ICMPLen - quote.IPLen() - UDPLen; got != tt.wantPayload {
				t.Errorf("quotes %d bytes of payload, want %d", got, tt.wantPayload)
			}
		})
	}
}

func TestParseQuotedRejects(t *testing.T) {
	head := make([]byte, ICMPLen)
	v4 := append([]byte{0x45, 0, 0, 28, 0, 0, 0, 0, 64, ProtoUDP}, make([]byte, 18)...)
	for _, tt := range []struct {
		name string
		b    []byte
	}{
		{"nothing", nil},
		{"short IPv4", v4[:27]},
		{"bad header length", append([]byte{0x44}, v4[1:]...)},
		{"later fragment", append([]byte{0x45, 0, 0, 28, 0, 0, 0, 1}, v4[8:]...)},
		{"short IPv6", append([]byte{0x60}, make([]byte, IPv6Len+6)...)},
		{"other version", append([]byte{0x50}, v4[1:]...)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var q Quoted
			if ParseQuoted(ICMP(append(append([]byte(nil), head...), tt.b...)), &q) {
				t.Errorf("accepted as %+v", q)
			}
		})
	}
}

func FuzzParseQuoted(f *testing.F) {
	f.Add(append(make([]byte, ICMPLen), append([]byte{0x45, 0, 0, 28, 0, 0, 0, 0, 64, ProtoUDP}, make([]byte, 18)...)...))
	f.Add(append(make([]byte, ICMPLen), append([]byte{0x60, 0, 0, 0, 0, 8, ProtoICMPv6, 64}, make([]byte, 40)...)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		var q Quoted
		if ParseQuoted(ICMP(b), &q) && len(b) < ICMPLen+IPv4Len+8 {
			t.Errorf("accepted %d bytes", len(b))
		}
	})
}

func TestTooBig(t *testing.T) {
	for _, tt := range []struct {
		name      string
		proto     uint8
		typ, code uint8
		info      uint32
		want      uint16 // 0: no such message
	}{
		{"IPv4", ProtoICMP, ICMPUnreachable, ICMPCodeFragNeeded, 1400, 1400},
		{"IPv4, least", ProtoICMP, ICMPUnreachable, ICMPCodeFragNeeded, 552, 552},
		{"IPv4, too small", ProtoICMP, ICMPUnreachable, ICMPCodeFragNeeded, 551, 0},
		{"IPv4, from a router that does not know RFC 1191", ProtoICMP, ICMPUnreachable, ICMPCodeFragNeeded, 0, 0},
		{"IPv4, other code", ProtoICMP, ICMPUnreachable, ICMPCodePort, 1400, 0},
		{"IPv6", ProtoICMPv6, ICMPv6TooBig, 0, 1400, 1400},
		{"IPv6, least", ProtoICMPv6, ICMPv6TooBig, 0, 1280, 1280},
		{"IPv6, too small", ProtoICMPv6, ICMPv6TooBig, 0, 1279, 0},
		{"IPv6, largest", ProtoICMPv6, ICMPv6TooBig, 0, 65535, 65535},
		{"IPv6, too large", ProtoICMPv6, ICMPv6TooBig, 0, 65536, 0},
		{"IPv6, other type", ProtoICMPv6, ICMPv6Unreachable, 4, 1400, 0},
		{"IPv4 type in IPv6", ProtoICMPv6, ICMPUnreachable, ICMPCodeFragNeeded, 1400, 0},
	} {
		b := make([]byte, ICMPLen)
		PutICMP(b, tt.typ, tt.code, tt.info)
		if mtu, ok := TooBig(b, tt.proto); ok != (tt.want != 0) || ok && mtu != tt.want {
			t.Errorf("%s: got %d, %v, want %d", tt.name, mtu, ok, tt.want)
		}
	}
}
