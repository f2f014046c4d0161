package command

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/pasta-net/pasta/cmd/pasta/daemon"
)

// The command lines of Podman and Buildah, word by word; what differs between their
// versions is which defaults they add and in what order.

const (
	podmanNetns  = "/run/user/1000/netns/netns-3c0f1e5a-9a6c-4f29-b5a8-6f2b9c0d1e2f"
	buildahNetns = "/proc/4711/ns/net"
	podmanBridge = "/run/user/1000/containers/networks/rootless-netns/rootless-netns"

	noPorts = " -t none -u none"
	noSplit = " -T none -U none --no-map-gw"
	atNetns = " --netns " + podmanNetns
	// What 5.3 and later begin and end with.
	newHead = "--config-net --dns-forward 169.254.1.1"
	newTail = " --quiet" + atNetns + " --map-guest-addr 169.254.1.2"
)

// podmanDefaults is what Podman 5.3 and later asks for in every case.
func podmanDefaults(o *daemon.Options) {
	o.Foreground, o.Level = false, daemon.LevelQuiet
	o.Target = daemon.Target{Netns: podmanNetns, NetnsOnly: true}
	o.Net.ConfigNet, o.Net.NoMapGW = true, true
	o.Net.DNSForward4, o.Net.MapGuestAddr4 = addr("169.254.1.1"), addr("169.254.1.2")
}

// before takes away from podmanDefaults what older versions did not ask for.
func before(o *daemon.Options, version string) {
	podmanDefaults(o)
	o.Net.MapGuestAddr4 = netip.Addr{}
	switch version {
	case "5.3":
		o.Net.DNSForward4 = addr("169.254.0.1")
	case "5.1":
		o.Net.DNSForward4, o.Net.NoDNS = netip.Addr{}, true
	case "5.0":
		o.Net.DNSForward4, o.Level = netip.Addr{}, daemon.LevelDefault
	}
}

func TestPodman(t *testing.T) {
	tests := []struct {
		name, args string
		want       func(o *daemon.Options)
		forwards   []string
	}{
		{
			"4.4 to 4.9", "--config-net" + noPorts + noSplit + atNetns,
			func(o *daemon.Options) { before(o, "5.0") }, nil,
		},
		{
			"4.4 to 4.9, ports before options", "--config-net -t 8080-8080:80-80 -u 127.0.0.1/5353-5355:53-55 -m 1400" + noSplit + atNetns,
			func(o *daemon.Options) {
				before(o, "5.0")
				o.Net.MTU = 1400
			},
			[]string{"TCP [*]:8080  =>  80 ", "UDP [127.0.0.1]:5353-5355  =>  53-55 "},
		},
		{
			"4.4 to 4.9, map-gw", "--config-net" + noPorts + " -T none -U none" + atNetns,
			func(o *daemon.Options) {
				before(o, "5.0")
				o.Net.NoMapGW = false
			}, nil,
		},
		{
			"5.0", "--config-net" + noPorts + noSplit + " --dns none --quiet" + atNetns,
			func(o *daemon.Options) { before(o, "5.1") }, nil,
		},
		{
			"5.0, a resolver of one's own", "--config-net -t ::1/8080-8080:80-80 --dns-forward 10.1.1.1 -u none" + noSplit + " --quiet" + atNetns,
			func(o *daemon.Options) {
				before(o, "5.1")
				o.Net.DNSForward4, o.Net.NoDNS = addr("10.1.1.1"), false
			},
			[]string{"TCP [::1]:8080  =>  80 "},
		},
		{
			"5.1 and 5.2", "--config-net --dns-forward 169.254.0.1" + noPorts + noSplit + " --quiet" + atNetns,
			func(o *daemon.Options) { before(o, "5.3") }, nil,
		},
		{"5.3 to 5.8", newHead + noPorts + noSplit + newTail, podmanDefaults, nil},
		{
			"5.3 to 5.8, ports", "--config-net -t 10.66.0.2/5001-5001:5001-5001 -u ::1/5353-5353:53-53 -t 8000-8010:9000-9010" +
				" --dns-forward 169.254.1.1" + noSplit + newTail,
			podmanDefaults,
			[]string{
				"TCP [10.66.0.2]:5001  =>  5001 ", "UDP [::1]:5353  =>  53 ", "TCP [*]:8000-8010  =>  9000-9010 ",
			},
		},
		{
			"bridge", "--config-net --pid " + podmanBridge + "-conn.pid --dns-forward 169.254.1.1" + noPorts + noSplit +
				" --quiet --netns " + podmanBridge + " --map-guest-addr 169.254.1.2",
			func(o *daemon.Options) {
				podmanDefaults(o)
				o.PIDFile = podmanBridge + "-conn.pid"
				o.Target.Netns = podmanBridge
			}, nil,
		},
		{
			"Buildah", newHead + noPorts + noSplit + " --quiet --netns " + buildahNetns + " --map-guest-addr 169.254.1.2",
			func(o *daemon.Options) {
				podmanDefaults(o)
				o.Target.Netns = buildahNetns
			}, nil,
		},
		{
			"options", "--config-net -a 192.0.2.7 -g 192.0.2.1 -n 24 -m 1280 -4 -I eth7 --pid /tmp/p --debug" +
				" --dns-forward 169.254.1.1" + noPorts + noSplit + atNetns + " --map-guest-addr 169.254.1.2",
			func(o *daemon.Options) {
				podmanDefaults(o)
				o.Level, o.PIDFile = daemon.LevelDebug, "/tmp/p"
				o.Net.Address4, o.Net.Gateway4, o.Net.PrefixLen4 = addr("192.0.2.7"), addr("192.0.2.1"), 24
				o.Net.MTU, o.Net.V6, o.Net.NsIfName = 1280, false, "eth7"
			}, nil,
		},
		{
			"options of containers.conf, and the same again", "--config-net -m 1400 -I eth7 --trace -m 1280 -I eth8" +
				" --dns-forward 169.254.1.1" + noPorts + noSplit + atNetns + " --map-guest-addr 169.254.1.2",
			func(o *daemon.Options) {
				podmanDefaults(o)
				o.Level, o.Net.MTU, o.Net.NsIfName = daemon.LevelTrace, 1280, "eth8"
			}, nil,
		},
		{
			"addresses of one's own", "--config-net --dns-forward 10.1.1.1 --map-guest-addr 10.1.1.2" + noPorts + noSplit +
				" --quiet" + atNetns,
			func(o *daemon.Options) {
				podmanDefaults(o)
				o.Net.DNSForward4, o.Net.MapGuestAddr4 = addr("10.1.1.1"), addr("10.1.1.2")
			}, nil,
		},
		{
			"IPv6 only", "--config-net -6 --dns-forward 169.254.1.1" + noPorts + noSplit + newTail,
			func(o *daemon.Options) {
				podmanDefaults(o)
				o.Net.V4 = false
			}, nil,
		},
		{
			"map-gw", newHead + noPorts + " -T none -U none" + newTail,
			func(o *daemon.Options) {
				podmanDefaults(o)
				o.Net.NoMapGW = false
			}, nil,
		},
		{
			"ports of one's own", "--config-net --tcp-ports 10.66.0.2%eth0/5001:5001 --udp-ports ::1%lo/5002:5002 -T 7001" +
				" --dns-forward 169.254.1.1 -U none --no-map-gw" + newTail,
			podmanDefaults,
			[]string{
				"TCP [10.66.0.2]%eth0:5001  =>  5001 ", "UDP [::1]%lo:5002  =>  5002 ", "TCP [*]%lo:7001  =>  7001 ",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args := strings.Fields(tt.args)
			checkOptions(t, args, wanted(tt.want))
			checkForwards(t, args, tt.forwards)
			checkNoWarning(t, args)
		})
	}
}
