// Package vpnkit is the personality that takes the place of VPNKit: a server for
// clients of the VMNET protocol, as RootlessKit is with --net=vpnkit.
//
// Clients connect to a UNIX stream socket, shake hands, and tell a UUID (vmnet.go). A
// UUID stands for one guest, which has a MAC and an IPv4 address as long as the process
// runs (identity.go), whoever connects with it. From then on the connection carries
// Ethernet frames. Each one is a link of its own with a data path of its own
// (service.Hub), so that a client which does not read disturbs nobody; what guests send
// to each other goes from link to link (lan.go).
//
// Import level: compat.
package vpnkit
