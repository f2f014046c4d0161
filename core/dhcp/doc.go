// Package dhcp answers DHCPv4 (RFC 2131, BOOTP of RFC 951 included) and DHCPv6
// (RFC 8415) messages of the guest. The servers are stateless and have one lease
// each: the address that the configuration assigns to the guest.
//
// Messages are read and written by the package's own code, in time linear in
// their length and without memory that outlives them. The codec library
// github.com/insomniacslk/dhcp serves the tests as a second opinion only: its
// DHCPv6 parser expands domain names of all options at once, for which one
// 64 KiB message from a hostile guest took 26 s and 269 GB of allocations,
// and its DHCPv4 writer knows neither the client's order of options nor a limit.
// (Otherwise it would do: 0.4 MB of binary, 0.1 ms at start.)
//
// Everything is owned by the event loop goroutine.
//
// Import level: above config, below engine.
package dhcp
