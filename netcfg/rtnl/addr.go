package rtnl

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// AddrFlags are address flags, IFA_F_ of linux/if_addr.h.
type AddrFlags uint32

// The flags that are looked at or set here.
const (
	AddrNoDAD      AddrFlags = unix.IFA_F_NODAD
	AddrDADFailed  AddrFlags = unix.IFA_F_DADFAILED
	AddrDeprecated AddrFlags = unix.IFA_F_DEPRECATED
	AddrTentative  AddrFlags = unix.IFA_F_TENTATIVE
	AddrPermanent  AddrFlags = unix.IFA_F_PERMANENT
)

// Scope is how far an address or the next hop of a route reaches, RT_SCOPE_ of
// rtnetlink(7).
type Scope uint8

// The common scopes.
const (
	ScopeGlobal Scope = unix.RT_SCOPE_UNIVERSE
	ScopeLink   Scope = unix.RT_SCOPE_LINK
	ScopeHost   Scope = unix.RT_SCOPE_HOST
)

// Addr is an address of an interface.
type Addr struct {
	// Index is the interface.
	Index int `json:"index"`
	// Prefix is the local address with the length of its network.
	Prefix netip.Prefix `json:"prefix"`
	// Peer is the other end of a point-to-point address, which Prefix's
	// length then belongs to. Invalid: none.
	Peer  netip.Addr `json:"peer,omitzero"`
	Flags AddrFlags  `json:"flags,omitzero"`
	Scope Scope      `json:"scope,omitzero"`
}

// Addrs lists the addresses of one family on all interfaces.
func (c *Conn) Addrs(f Family) ([]Addr, error) {
	body := []byte{f.af(), 0, 0, 0, 0, 0, 0, 0}
	msgs, err := c.dump(unix.RTM_GETADDR, body, unix.RTM_NEWADDR)
	if err != nil {
		return nil, &OpError{Op: "list", Target: f.String() + " addresses", Err: err}
	}
	addrs := make([]Addr, 0, len(msgs))
	for _, m := range msgs {
		a, family, err := parseAddr(m)
		if err != nil {
			return nil, &OpError{Op: "parse", Target: f.String() + " address", Err: err}
		}
		// Without IPv6 the kernel answers with every other family.
		if family == f.af() {
			addrs = append(addrs, a)
		}
	}
	return addrs, nil
}

// AddAddr adds an address, valid for ever. The error is EEXIST if the interface
// has it already.
func (c *Conn) AddAddr(a Addr) error {
	if err := c.change(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL, encodeAddr(a)); err != nil {
		return &OpError{Op: "add address", Target: a.String(), Err: err}
	}
	return nil
}

// DelAddr removes an address. The error is EADDRNOTAVAIL if there is none.
func (c *Conn) DelAddr(a Addr) error {
	if err := c.change(unix.RTM_DELADDR, 0, encodeAddr(a)); err != nil {
		return &OpError{Op: "remove address", Target: a.String(), Err: err}
	}
	return nil
}

// String names address and interface, for errors.
func (a Addr) String() string { return fmt.Sprintf("%s on interface %d", a.Prefix, a.Index) }

// parseAddr reads an RTM_NEWADDR message without its netlink header; the
// address is only meaningful if family is AF_INET or AF_INET6.
func parseAddr(b []byte) (a Addr, family uint8, err error) {
	if len(b) < unix.SizeofIfAddrmsg {
		return Addr{}, 0, errMalformed
	}
	family = b[0]
	if _, ok := familyOf(family); !ok {
		return Addr{}, family, nil
	}
	a = Addr{Flags: AddrFlags(b[2]), Scope: Scope(b[3]), Index: int(int32(order.Uint32(b[4:])))}
	var local, address []byte
	err = parseAttrs(b[unix.SizeofIfAddrmsg:], func(typ uint16, data []byte) error {
		switch typ {
		case unix.IFA_LOCAL:
			local = data
		case unix.IFA_ADDRESS:
			address = data
		case unix.IFA_FLAGS:
			v, err := uint32Of(data)
			a.Flags = AddrFlags(v)
			return err
		}
		return nil
	})
	if err != nil {
		return Addr{}, 0, err
	}
	return a, family, a.setPrefix(local, address, b[1])
}

// setPrefix sorts out the two address attributes: IFA_LOCAL is ours if it is
// there (IPv4: always; IPv6: only with a peer), IFA_ADDRESS is the peer if it
// differs, else ours.
func (a *Addr) setPrefix(local, address []byte, bits uint8) (err error) {
	if local == nil {
		local = address
	}
	if a.Prefix, err = prefixOf(local, bits); err != nil || address == nil {
		return err
	}
	peer, err := addrOf(address)
	if err == nil && peer != a.Prefix.Addr() {
		a.Peer = peer
	}
	return err
}

// encodeAddr builds an RTM_NEWADDR message without its netlink header. Label
// and lifetimes are not set: the kernel then takes the interface's name and
// infinity.
func encodeAddr(a Addr) []byte {
	ip := a.Prefix.Addr()
	b := []byte{FamilyOf(ip).af(), uint8(a.Prefix.Bits()), uint8(a.Flags), uint8(a.Scope)}
	b = order.AppendUint32(b, uint32(a.Index))
	b = appendAttr(b, unix.IFA_LOCAL, ip.AsSlice())
	if a.Peer.IsValid() {
		ip = a.Peer
	}
	b = appendAttr(b, unix.IFA_ADDRESS, ip.AsSlice())
	return appendUint32(b, unix.IFA_FLAGS, uint32(a.Flags))
}
