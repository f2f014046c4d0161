package packet

import "testing"

// TestNoAllocation: no function that runs per packet makes garbage.
func TestNoAllocation(t *testing.T) {
	frame4, frame6 := udpFrame(true, "payload"), udpFrame(false, "payload")
	syn := synOf(t, "0204 05b4 0402 01 030307")
	h4, h6 := headerOf(true, ProtoUDP), headerOf(false, ProtoTCP)
	tcp := TCPHeader{MSS: 1460, WScale: 7}
	b := make([]byte, 128)
	part4, part6 := fragment4(0x2000, 0, b), fragment6(ProtoUDP, 1, 0, b)
	var p Packet
	var part Fragment
	for name, f := range map[string]func(){
		"Parse IPv4":   func() { p.Parse(frame4); p.VerifyL4() },
		"Parse IPv6":   func() { p.Parse(frame6); p.VerifyL4() },
		"Fragment":     func() { p.Parse(part4); p.Fragment(&part); p.Parse(part6); p.Fragment(&part) },
		"ParseUDP":     func() { _, _ = ParseUDP(frame4[EthLen+IPv4Len:]) },
		"ParseTCP":     func() { s, _ := ParseTCP(syn); s.SynOptions() },
		"PutEthernet":  func() { PutEthernet(b, macA, macB, EtherTypeIP4) },
		"PutIP":        func() { PutIP(b, &h4); SetIPPayloadLen(b, 5); PutIP(b, &h6) },
		"PutUDP":       func() { PutUDP(b, 1, 2, 3) },
		"PutTCP":       func() { PutTCP(b, &tcp) },
		"Addr methods": func() { _ = host4.IsLoopback() || host4.IsMulticast() || len(host4.Wire()) == 0 },
	} {
		t.Run(name, func(t *testing.T) {
			if n := testing.AllocsPerRun(100, f); n != 0 {
				t.Errorf("%v allocations, want 0", n)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for name, frame := range map[string][]byte{"IPv4": udpFrame(true, "payload"), "IPv6": udpFrame(false, "payload")} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var p Packet
			for b.Loop() {
				p.Parse(frame)
			}
		})
	}
}
