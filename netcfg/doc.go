// Package netcfg decides how a guest is addressed and applies that decision.
//
// Discover reads the host's state over rtnetlink. Decide is pure: host state,
// resolvers and options in, wanted state out; its rules are spread over plan.go
// (whole run), family.go (one IP version), template.go, address.go and dns.go.
// ConfigureNamespace carries a plan out in the guest's network namespace, and
// Plan.Summary tells the user. All this runs before the event loop starts, on
// any goroutine: only rtnl.Open looks at the namespace of its thread.
//
// Import level: above core, below portfwd.
package netcfg
