package rtnl

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// linkMessage builds an RTM_NEWLINK message as the kernel sends it.
func linkMessage(disableIPv6 uint32) []byte {
	conf := make([]byte, 4*(devconfDisableIPv6+1))
	order.PutUint32(conf[4*devconfDisableIPv6:], disableIPv6)
	inet6 := appendAttr(nil, unix.AF_INET6, appendAttr(nil, unix.IFLA_INET6_CONF, conf))
	b := ifInfomsg(7, LinkUp, 0)
	b = appendString(b, unix.IFLA_IFNAME, "eth0")
	b = appendUint32(b, unix.IFLA_MTU, 1500)
	b = appendUint32(b, unix.IFLA_TXQLEN, 1000)
	b = appendAttr(b, unix.IFLA_ADDRESS, []byte{2, 0, 0, 0, 0, 7})
	return appendAttr(b, unix.IFLA_AF_SPEC, inet6)
}

func TestParseLink(t *testing.T) {
	want := Link{Index: 7, Name: "eth0", Flags: LinkUp, MTU: 1500, TxQLen: 1000, MAC: "02:00:00:00:00:07", IPv6: IPv6On}
	off := want
	off.IPv6 = IPv6Off
	tests := []struct {
		name  string
		input []byte
		want  Link
	}{
		{"IPv6 on", linkMessage(0), want},
		{"IPv6 off", linkMessage(1), off},
		{"no attributes", ifInfomsg(1, LinkLoopback, 0), Link{Index: 1, Flags: LinkLoopback}},
		{
			"InfiniBand address", appendAttr(ifInfomsg(2, 0, 0), unix.IFLA_ADDRESS, make([]byte, 20)),
			Link{Index: 2},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseLink(tt.input)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("link (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseLinkRefusesBadMessages(t *testing.T) {
	tests := []struct {
		name  string
		input []byte
	}{
		{"short header", make([]byte, sizeofIfInfomsg-1)},
		{"short MTU", appendAttr(ifInfomsg(1, 0, 0), unix.IFLA_MTU, []byte{1, 2})},
		{"attribute of length 0", append(ifInfomsg(1, 0, 0), 0, 0, 1, 0)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if l, err := parseLink(tt.input); err == nil {
				t.Errorf("parse: got %v, want an error", l)
			}
		})
	}
}

func TestLinkChangeString(t *testing.T) {
	ch := LinkChange{Up: LinkUp, Down: LinkNoARP, MTU: 1500, TxQLen: 10, MAC: &[6]byte{2}}
	want := "flags +0x1 -0x80 mac 02:00:00:00:00:00 mtu 1500 txqueuelen 10"
	if got := ch.String(); got != want {
		t.Errorf("String: got %q, want %q", got, want)
	}
}

func FuzzParseLink(f *testing.F) {
	f.Add(linkMessage(0))
	f.Add(linkMessage(1))
	f.Add(ifInfomsg(1, 0, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := parseLink(b)
		if err == nil && len(b) < sizeofIfInfomsg {
			t.Errorf("parse %d bytes: got %v, want an error", len(b), l)
		}
	})
}
