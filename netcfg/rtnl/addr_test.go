package rtnl

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// addrCases are addresses that survive building and parsing.
func addrCases() map[string]Addr {
	return map[string]Addr{
		"IPv4": {Index: 2, Prefix: netip.MustParsePrefix("10.0.0.2/24"), Flags: AddrPermanent},
		"IPv4 with peer": {
			Index: 3, Prefix: netip.MustParsePrefix("10.0.0.2/32"), Peer: netip.MustParseAddr("10.0.0.1"),
		},
		"IPv6 with long flags": {
			Index: 70000, Prefix: netip.MustParsePrefix("fd00::2/64"),
			Flags: unix.IFA_F_NOPREFIXROUTE | AddrNoDAD, Scope: ScopeGlobal,
		},
		"link-local": {Index: 2, Prefix: netip.MustParsePrefix("fe80::2/64"), Scope: ScopeLink},
		"IPv6 with peer": {
			Index: 3, Prefix: netip.MustParsePrefix("fd00::9/128"), Peer: netip.MustParseAddr("fd00::8"),
		},
	}
}

func TestAddrSurvivesBuildingAndParsing(t *testing.T) {
	for name, want := range addrCases() {
		t.Run(name, func(t *testing.T) {
			got, _, err := parseAddr(encodeAddr(want))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmpNetip); diff != "" {
				t.Errorf("address (-want +got):\n%s", diff)
			}
		})
	}
}

// The kernel sends IPv6 addresses without peer as IFA_ADDRESS alone.
func TestParseAddrWithoutLocal(t *testing.T) {
	b := []byte{unix.AF_INET6, 64, 0x80, 0, 2, 0, 0, 0}
	b = appendAttr(b, unix.IFA_ADDRESS, netip.MustParseAddr("fd00::2").AsSlice())
	got, _, err := parseAddr(b)
	if err != nil {
		t.Fatal(err)
	}
	want := Addr{Index: int(order.Uint32([]byte{2, 0, 0, 0})), Prefix: netip.MustParsePrefix("fd00::2/64"), Flags: AddrPermanent}
	if diff := cmp.Diff(want, got, cmpNetip); diff != "" {
		t.Errorf("address (-want +got):\n%s", diff)
	}
}

func TestParseAddrRefusesBadMessages(t *testing.T) {
	good := encodeAddr(addrCases()["IPv4"])
	tests := []struct {
		name  string
		input []byte
	}{
		{"empty", nil},
		{"no address", good[:unix.SizeofIfAddrmsg]},
		{"prefix longer than address", append([]byte{unix.AF_INET, 33}, good[2:]...)},
		{"address of 5 bytes", appendAttr(append([]byte(nil), good[:unix.SizeofIfAddrmsg]...), unix.IFA_LOCAL, make([]byte, 5))},
		{"short flags", appendAttr(append([]byte(nil), good...), unix.IFA_FLAGS, []byte{1})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if a, _, err := parseAddr(tt.input); err == nil {
				t.Errorf("parse: got %v, want an error", a)
			}
		})
	}
}

func FuzzParseAddr(f *testing.F) {
	for _, a := range addrCases() {
		f.Add(encodeAddr(a))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, family, err := parseAddr(b)
		if _, ok := familyOf(family); err != nil || !ok {
			return
		}
		if a.Peer.IsValid() && a.Peer.Is4() != a.Prefix.Addr().Is4() {
			return // the family is told by the local address
		}
		again, _, err := parseAddr(encodeAddr(a))
		if err != nil || again.Prefix != a.Prefix || again.Peer != a.Peer || again.Flags != a.Flags {
			t.Errorf("address: got %+v, %v, want %+v", again, err, a)
		}
	})
}
