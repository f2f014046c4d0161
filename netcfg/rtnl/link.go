package rtnl

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// LinkFlags are interface flags, IFF_ of netdevice(7).
type LinkFlags uint32

// The flags that are looked at or changed here.
const (
	LinkUp       LinkFlags = unix.IFF_UP
	LinkLoopback LinkFlags = unix.IFF_LOOPBACK
	LinkNoARP    LinkFlags = unix.IFF_NOARP
)

// IPv6State tells whether a link can have IPv6 addresses.
type IPv6State string

// States of IPv6 on a link.
const (
	// IPv6Absent: the kernel keeps no IPv6 state for the link. On lo this
	// means that IPv6 is not in the kernel or was disabled when it booted
	// (ipv6.disable=1); on other links the MTU may be below 1280 instead.
	IPv6Absent IPv6State = ""
	// IPv6Off: switched off by the sysctl net.ipv6.conf.LINK.disable_ipv6.
	IPv6Off IPv6State = "off"
	// IPv6On: addresses can be added.
	IPv6On IPv6State = "on"
)

// Link is a network interface.
type Link struct {
	Index int       `json:"index"`
	Name  string    `json:"name"`
	Flags LinkFlags `json:"flags"`
	// MTU in bytes of IP packet, TxQLen in packets.
	MTU    int `json:"mtu"`
	TxQLen int `json:"txqlen,omitzero"`
	// MAC is the hardware address in the usual notation; empty if the link
	// has none of 6 bytes.
	MAC  string    `json:"mac,omitzero"`
	IPv6 IPv6State `json:"ipv6,omitzero"`
}

// LinkChange is what SetLink changes; zero fields are left as they are.
type LinkChange struct {
	// Up sets these flags, Down clears them.
	Up, Down LinkFlags
	// MTU in bytes, TxQLen in packets.
	MTU, TxQLen int
	// MAC is the new hardware address.
	MAC *[6]byte
}

// sizeofIfInfomsg is the length of struct ifinfomsg of rtnetlink(7).
const sizeofIfInfomsg = 16

// Links lists all interfaces, in the order of their index.
func (c *Conn) Links() ([]Link, error) {
	msgs, err := c.dump(unix.RTM_GETLINK, linkRequest(""), unix.RTM_NEWLINK)
	if err != nil {
		return nil, &OpError{Op: "list", Target: "interfaces", Err: err}
	}
	links := make([]Link, 0, len(msgs))
	for _, m := range msgs {
		l, err := parseLink(m)
		if err != nil {
			return nil, &OpError{Op: "parse", Target: "interface", Err: err}
		}
		links = append(links, l)
	}
	return links, nil
}

// Link returns the interface with the given name. The error is ENODEV if there
// is none.
func (c *Conn) Link(name string) (Link, error) {
	msgs, err := c.request(unix.RTM_GETLINK, 0, linkRequest(name), unix.RTM_NEWLINK)
	if err == nil && len(msgs) == 0 {
		err = unix.ENODEV
	}
	if err != nil {
		return Link{}, &OpError{Op: "find interface", Target: name, Err: err}
	}
	l, err := parseLink(msgs[0])
	if err != nil {
		return Link{}, &OpError{Op: "parse interface", Target: name, Err: err}
	}
	return l, nil
}

// SetLink changes the interface with the given index, all in one request.
func (c *Conn) SetLink(index int, ch LinkChange) error {
	b := ifInfomsg(index, ch.Up, ch.Up|ch.Down)
	if ch.MAC != nil {
		b = appendAttr(b, unix.IFLA_ADDRESS, ch.MAC[:])
	}
	if ch.MTU != 0 {
		b = appendUint32(b, unix.IFLA_MTU, uint32(ch.MTU))
	}
	if ch.TxQLen != 0 {
		b = appendUint32(b, unix.IFLA_TXQLEN, uint32(ch.TxQLen))
	}
	if err := c.change(unix.RTM_SETLINK, 0, b); err != nil {
		return &OpError{Op: "set", Target: fmt.Sprintf("interface %d (%s)", index, ch), Err: err}
	}
	return nil
}

// String lists the changes, for errors.
func (ch LinkChange) String() string {
	s := fmt.Sprintf("flags +%#x -%#x", uint32(ch.Up), uint32(ch.Down))
	if ch.MAC != nil {
		s += " mac " + net.HardwareAddr(ch.MAC[:]).String()
	}
	if ch.MTU != 0 {
		s += fmt.Sprintf(" mtu %d", ch.MTU)
	}
	if ch.TxQLen != 0 {
		s += fmt.Sprintf(" txqueuelen %d", ch.TxQLen)
	}
	return s
}

// linkRequest asks for one interface by name, or for all if name is empty.
// Statistics are left out: they are most of an answer and cost time.
func linkRequest(name string) []byte {
	b := ifInfomsg(0, 0, 0)
	b = appendUint32(b, unix.IFLA_EXT_MASK, extFilterSkipStats)
	if name != "" {
		b = appendString(b, unix.IFLA_IFNAME, name)
	}
	return b
}

// ifInfomsg builds struct ifinfomsg: family, padding, type, index, flags and
// the mask of flags to change.
func ifInfomsg(index int, flags, change LinkFlags) []byte {
	b := make([]byte, sizeofIfInfomsg)
	order.PutUint32(b[4:], uint32(index))
	order.PutUint32(b[8:], uint32(flags))
	order.PutUint32(b[12:], uint32(change))
	return b
}

// parseLink reads an RTM_NEWLINK message without its netlink header.
func parseLink(b []byte) (Link, error) {
	if len(b) < sizeofIfInfomsg {
		return Link{}, errMalformed
	}
	l := Link{Index: int(int32(order.Uint32(b[4:]))), Flags: LinkFlags(order.Uint32(b[8:]))}
	err := parseAttrs(b[sizeofIfInfomsg:], l.attr)
	return l, err
}

// attr takes over one attribute of an RTM_NEWLINK message.
func (l *Link) attr(typ uint16, data []byte) (err error) {
	var v uint32
	switch typ {
	case unix.IFLA_IFNAME:
		l.Name = stringOf(data)
	case unix.IFLA_MTU:
		v, err = uint32Of(data)
		l.MTU = int(v)
	case unix.IFLA_TXQLEN:
		v, err = uint32Of(data)
		l.TxQLen = int(v)
	case unix.IFLA_ADDRESS:
		if len(data) == 6 {
			l.MAC = net.HardwareAddr(data).String()
		}
	case unix.IFLA_AF_SPEC:
		err = parseAttrs(data, l.afSpec)
	}
	return err
}

// afSpec takes over the per-family part of IFLA_AF_SPEC. Its AF_INET6 entry is
// there exactly if the kernel has IPv6 state for the link.
func (l *Link) afSpec(af uint16, data []byte) error {
	if af != unix.AF_INET6 {
		return nil
	}
	l.IPv6 = IPv6On
	return parseAttrs(data, func(typ uint16, conf []byte) error {
		if typ != unix.IFLA_INET6_CONF {
			return nil
		}
		if off := 4 * devconfDisableIPv6; len(conf) >= off+4 && order.Uint32(conf[off:]) != 0 {
			l.IPv6 = IPv6Off
		}
		return nil
	})
}

// Numbers of linux/rtnetlink.h and linux/ipv6.h which x/sys/unix does not name.
const (
	// extFilterSkipStats (RTEXT_FILTER_SKIP_STATS) leaves statistics out.
	extFilterSkipStats = 1 << 3
	// devconfDisableIPv6 (DEVCONF_DISABLE_IPV6) is the index of disable_ipv6
	// in the array of a link's IPv6 sysctls.
	devconfDisableIPv6 = 26
)
