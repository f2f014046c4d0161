// Package linkclients proves the link services (core/neigh, core/dhcp) with
// the clients that guests really run, on a real tap in fresh user and network
// namespaces. Tests only. It stands outside the layers of the program and may
// import any of them.
package linkclients
