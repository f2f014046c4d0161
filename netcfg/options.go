package netcfg

import "net/netip"

// Options are the user's wishes about addressing, as given on a command line.
// Zero values mean "not given: derive it from the host".
type Options struct {
	// V4, V6 tell which families are wanted at all (-4, -6).
	V4, V6 bool
	// Interface is the template for both families (-i).
	Interface string
	// Outbound4/6 are source addresses, OutboundIf4/6 interfaces of host-side
	// sockets (-o, --outbound-if4, --outbound-if6).
	Outbound4, Outbound6     netip.Addr
	OutboundIf4, OutboundIf6 string

	// MTU in bytes; 0: do not assign (-m). The caller puts in the default.
	MTU int
	// Address4/6 are the guest's addresses (-a), PrefixLen4 its length (from
	// -a ADDR/LEN or -n; 0: by address class).
	Address4, Address6 netip.Addr
	PrefixLen4         int
	// Gateway4/6 are default gateways (-g).
	Gateway4, Gateway6 netip.Addr
	// OurMAC is the source of our frames (-M), NsMAC the MAC of the namespace
	// interface (--ns-mac-addr; nil: the kernel's choice).
	OurMAC [6]byte
	NsMAC  *[6]byte
	// NoInterface makes no namespace interface: only lo is set up
	// (--splice-only).
	NoInterface bool
	// NsIfName is the name of the namespace interface (-I; empty: the
	// template's name, or tap0 in local mode).
	NsIfName string
	// ConfigNet configures the namespace (--config-net).
	ConfigNet bool
	// NoCopyRoutes, NoCopyAddrs restrict what --config-net copies.
	NoCopyRoutes, NoCopyAddrs bool

	// MapHostLoopback4/6 are guest-side addresses of the host's loopback
	// (--map-host-loopback). NoMapGW: no implicit mapping of the gateway.
	MapHostLoopback4, MapHostLoopback6 netip.Addr
	NoMapGW                            bool
	// MapGuestAddr4/6 are guest-side addresses of the host itself.
	MapGuestAddr4, MapGuestAddr6 netip.Addr

	// DNS are the resolvers told to the guest (-D); NoDNS is "-D none".
	DNS   []netip.Addr
	NoDNS bool
	// DNSForward4/6 and DNSHost4/6 (--dns-forward, --dns-host).
	DNSForward4, DNSForward6 netip.Addr
	DNSHost4, DNSHost6       netip.Addr
	// Search domains (-S); NoSearch is "-S none".
	Search   []string
	NoSearch bool
	// SendDNS, SendSearch: tell resolvers and search list by DHCP/RA
	// (pasta: --dhcp-dns, --dhcp-search; passt: unless --no-dhcp-...).
	SendDNS, SendSearch bool
	// Hostname (-H) and FQDN (--fqdn) for DHCP.
	Hostname, FQDN string
	// NoDHCP, NoDHCPv6, NoNDP, NoRA switch link services off.
	NoDHCP, NoDHCPv6, NoNDP, NoRA bool
}
