// Package config is one resolved, validated run configuration of the core:
// data only, filled in by a personality (see cmd and compat) from its flags and
// from netcfg's plan, then read by the protocol packages. It is built before the
// event loop starts and never changes afterwards.
//
// Import level: above fwd, below the protocol packages.
package config

import (
	"net/netip"
	"time"

	"github.com/pasta-net/pasta/core/fwd"
)

// MaxMTU is the largest guest MTU: 65535 minus the Ethernet header.
const MaxMTU = 65521

// Config is everything that the core needs to know to serve one guest.
type Config struct {
	// MTU of the guest's link in bytes of IP packet. Zero: do not advertise
	// any; frames are then bounded by 65535 bytes of packet.
	MTU int
	// OurMAC is the source address of our frames.
	OurMAC [6]byte
	// GuestMAC is the guest's address if known at start (pasta), else zero:
	// broadcast until the first frame shows it.
	GuestMAC [6]byte

	// V4 and V6 are the addressing of each family.
	V4, V6 Family
	// OurLinkLocal is our own link-local address on the tap: source of NDP,
	// RA and DHCPv6.
	OurLinkLocal netip.Addr

	// TCP, UDP and ICMP tell which protocols are served at all.
	TCP, UDP, ICMP bool

	// Link tells which link services answer.
	Link Link

	// Names are what DNS queries to DNSForward find here; others go to DNSHost.
	Names []Name

	// Listen holds the listeners of the configured forwards, already bound. More
	// may come and go at run time (see the engine).
	Listen []Listener

	// Bypass tells which flows go from socket to socket without the tap.
	Bypass fwd.Bypass

	// Refusal is how the guest learns that the host could not connect for it.
	Refusal fwd.Refusal

	// Timeouts of idle flows.
	Timeouts Timeouts
	// Offload switches of the tap. All true unless the user turned them off.
	Offload Offload
}

// Family is the addressing of one IP version.
type Family struct {
	// Enabled is false when the family is switched off; frames of that family
	// are then ignored completely, ARP and NDP included.
	Enabled bool
	// Guest is the address assigned to the guest. Invalid: none to assign.
	Guest netip.Addr
	// PrefixLen belongs to Guest; always 64 for IPv6.
	PrefixLen int
	// Gateway is the guest's default gateway. Invalid: none.
	Gateway netip.Addr
	// Our is our own address on the tap side, source of DHCP and of traffic
	// that has no usable address of its own. IPv4: the gateway. IPv6: the
	// gateway, global or link-local.
	Our netip.Addr
	// MapHostLoopback as destination means the host's loopback. Invalid: no
	// such mapping.
	MapHostLoopback netip.Addr
	// MapGuestAddr as destination means the host's own address, which Guest
	// shadows. Invalid: no such mapping.
	MapGuestAddr netip.Addr
	// DNSForward as destination with port 53 or 853, or with DNSAllPorts any
	// port, means DNSHost; but where that is loopback, DNSAllPorts takes
	// MapHostLoopback, which opens those ports anyway. Invalid: no such mapping.
	DNSForward  netip.Addr
	DNSAllPorts bool
	// DNSHost is the host-side resolver for DNSForward.
	DNSHost netip.Addr
	// Own lists addresses of our own on the link, at most fwd.MaxOwn: echo
	// requests to them are answered here, and what no mapping covers goes nowhere.
	// With Own nobody answers for other addresses of the link, so clients that have
	// such are shown as the gateway.
	Own []netip.Addr
	// Closed are those of Own that tell so who addresses them in vain: that the
	// network is unreachable. The others are silent.
	Closed []netip.Addr
	// DNS lists the resolvers told to the guest, at most 3.
	DNS []netip.Addr
	// Outbound is the host-side source address of outbound flows. Invalid:
	// the kernel chooses. Not used when the target is loopback, unless
	// OutboundLoopback is set.
	Outbound         netip.Addr
	OutboundLoopback bool
	// OutboundIf binds host-side sockets of outbound flows to an interface.
	OutboundIf string
	// Scope is the index of the template interface, on which the guest's
	// link-local destinations are looked for (IPv6). Zero: there is none.
	Scope uint32
}

// Link selects link services and what they tell the guest.
type Link struct {
	DHCP, DHCPv6, NDP, RA bool
	// Quiet: nothing is sent that the guest did not ask for.
	Quiet bool
	// SendDNS and SendSearch tell whether resolvers and search domains are
	// sent by DHCP, DHCPv6 and RA.
	SendDNS, SendSearch bool
	// Search is the list of search domains.
	Search []string
	// TypeFirst has DHCP replies start with their type, which the client of old
	// RootlessKits counts on.
	TypeFirst bool
	// Domain is DHCP option 15.
	Domain string
	// LeaseSec is the time of DHCP leases in seconds; 0: for ever.
	LeaseSec uint32
	// NTP are time servers told by DHCP.
	NTP []netip.Addr
	// Broadcast has DHCP tell the broadcast address of the guest's subnet.
	Broadcast bool
	// Advert is what router advertisements say, where it is not the usual.
	Advert Advert
	// Pool has DHCP lease several addresses instead of the guest's.
	Pool Pool
	// Hostname is DHCP option 12; FQDN is DHCP option 81 and DHCPv6 option 39.
	Hostname, FQDN string
}

// Name is an address record of a domain name.
type Name struct {
	Name string
	Addr netip.Addr
}

// Advert is the content of router advertisements; zero fields: the usual.
type Advert struct {
	// Prefix is announced for autoconfiguration; invalid: that of the address
	// assigned to the guest, which DHCPv6 manages.
	Prefix netip.Prefix
	// RouterSec, ValidSec and PreferredSec are lifetimes in seconds, of the default
	// router (65535) and of the prefix (for ever).
	RouterSec              uint16
	ValidSec, PreferredSec uint32
}

// Pool is a range of IPv4 addresses to lease.
type Pool struct {
	// First is the lowest address, Len how many there are; 0: there is no pool.
	First netip.Addr
	Len   int
}

// Listener is one bound socket of a forward. For TCP it is listening.
type Listener struct {
	// FD is the socket; the engine owns and closes it. It names the listener
	// for as long as it is open.
	FD int
	// Pif tells where the socket lives: on the host, or in the target namespace.
	Pif fwd.Pif
	// Rule is the forward it belongs to and Port the port it is bound to.
	Rule fwd.Rule
	Port uint16
}

// TargetPort is the port that connections to this listener go to.
func (l Listener) TargetPort() uint16 { return l.Rule.Target + (l.Port - l.Rule.First) }

// Timeouts are limits on idle and half-open flows. A zero field takes the
// default named beside it.
type Timeouts struct {
	// UDP is for flows that saw one direction only (30 s), UDPStream for
	// flows that saw replies (120 s).
	UDP, UDPStream time.Duration
	// ICMP is for idle echo flows (60 s).
	ICMP time.Duration
	// Refused is how long a service is asked again that refuses a connection of the
	// bypass (not at all).
	Refused time.Duration
	// TCPSynRetries is the host's net.ipv4.tcp_syn_retries (6), TCPSynLinear its
	// net.ipv4.tcp_syn_linear_timeouts, which may be 0 (nil: 4).
	TCPSynRetries int
	TCPSynLinear  *int
	// TCPRTOMax is net.ipv4.tcp_rto_max_ms (120 s).
	TCPRTOMax time.Duration
}

// Offload switches off what the kernel would otherwise be asked for on the tap.
type Offload struct {
	// VnetHdr asks for the virtio-net header; the others need it.
	VnetHdr, Checksum, TSO, USO bool
}
