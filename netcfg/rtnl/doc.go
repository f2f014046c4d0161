// Package rtnl speaks rtnetlink: it lists and changes links, addresses and
// routes of one network namespace. It is a thin layer over the sockets of
// vishvananda/netlink; messages are built and parsed here, because that library
// drops attributes which a faithful copy of a host's configuration needs
// (nexthop flags and weights, metrics, router preference, encapsulation, the
// state of IPv6 on a link).
//
// A Conn may be used by one goroutine at a time, on any thread: only Open looks
// at the namespace of its caller. The types are plain data and marshal to JSON,
// so that host states can be recorded.
//
// Import level: netcfg.
package rtnl
