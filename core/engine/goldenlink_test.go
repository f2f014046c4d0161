package engine

import (
	"bytes"
	"encoding/hex"
	"net"
	"net/netip"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/pasta-net/pasta/core/coretest"
	"github.com/pasta-net/pasta/core/packet"
)

var guestHardware = net.HardwareAddr(coretest.GuestMAC[:])

// TestGoldenDHCP4: discover, offer, request, ack (RFC 2131 section 3.1).
func TestGoldenDHCP4(t *testing.T) {
	r := newRecorded(t)
	from, to := netip.MustParseAddrPort("0.0.0.0:68"), netip.MustParseAddrPort("255.255.255.255:67")
	xid := dhcpv4.WithTransactionID(dhcpv4.TransactionID{1, 2, 3, 4})
	discover, err := dhcpv4.NewDiscovery(guestHardware, xid)
	if err != nil {
		t.Fatal(err)
	}
	offer, err := dhcpv4.FromBytes(r.answer(coretest.UDP(from, to, discover.ToBytes())).UDP(t).Payload())
	if err != nil {
		t.Fatal(err)
	}
	request, err := dhcpv4.NewRequestFromOffer(offer, xid)
	if err != nil {
		t.Fatal(err)
	}
	r.answer(coretest.UDP(from, to, request.ToBytes()))
	r.compare(t, "dhcp4", nil)
}

// TestGoldenDHCP6: solicit, advertise, request, reply (RFC 8415 section 5.2).
func TestGoldenDHCP6(t *testing.T) {
	r := newRecorded(t)
	from, to := netip.MustParseAddrPort("[fe80::2]:546"), netip.MustParseAddrPort("[ff02::1:2]:547")
	client := &dhcpv6.DUIDLL{HWType: iana.HWTypeEthernet, LinkLayerAddr: guestHardware}
	solicit, err := dhcpv6.NewSolicit(guestHardware, dhcpv6.WithClientID(client))
	if err != nil {
		t.Fatal(err)
	}
	solicit.TransactionID = dhcpv6.TransactionID{1, 2, 3}
	advertise, err := dhcpv6.MessageFromBytes(r.answer(coretest.UDP(from, to, solicit.ToBytes())).UDP(t).Payload())
	if err != nil {
		t.Fatal(err)
	}
	request, err := dhcpv6.NewRequestFromAdvertise(advertise)
	if err != nil {
		t.Fatal(err)
	}
	request.TransactionID = dhcpv6.TransactionID{1, 2, 4}
	r.answer(coretest.UDP(from, to, request.ToBytes()))
	r.compare(t, "dhcp6", clearDUIDTime)
}

// clearDUIDTime removes the time from the server's DUID, if it is in p (RFC 8415
// section 11.2).
func clearDUIDTime(p *packet.Packet) {
	before := []byte{0, 2, 0, 14, 0, 1, 0, 1} // server identifier, DUID-LLT, Ethernet
	if at := bytes.Index(p.L4, before); at >= 0 {
		clear(p.L4[at+len(before):][:4])
	}
}

// TestGoldenNDP: NS, NA, RS, RA (RFC 4861 sections 4.1 to 4.4).
func TestGoldenNDP(t *testing.T) {
	r := newRecorded(t)
	guest := netip.MustParseAddr("fe80::2")
	for _, q := range []struct {
		dst  string
		typ  uint8
		body string // behind the first 8 bytes
	}{
		{"ff02::1:ff00:1", packet.ICMPv6NeighborSolicit, "fd660000000000000000000000000001" + "0101020000000002"},
		{"ff02::2", packet.ICMPv6RouterSolicit, "0101020000000002"},
	} {
		body, err := hex.DecodeString(q.body)
		if err != nil {
			t.Fatal(err)
		}
		frame := coretest.ICMP(guest, netip.MustParseAddr(q.dst), q.typ, 0, 0, body)
		r.answer(coretest.SetTTL(frame, 255)) // RFC 4861 section 7.1
	}
	r.compare(t, "ndp", nil)
}
