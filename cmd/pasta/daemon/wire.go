package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pasta-net/pasta/compat/service"
	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/core/tap"
	"github.com/pasta-net/pasta/netcfg"
	"github.com/pasta-net/pasta/netcfg/netns"
	"github.com/pasta-net/pasta/netcfg/resolv"
	"github.com/pasta-net/pasta/netcfg/rtnl"
)

// dataPath moves packets between tap and sockets.
type dataPath interface {
	// Run blocks until Stop, nil, or until the tap fails.
	Run() error
	// Stop ends Run when nothing is under way any more; called again, at once.
	// Any goroutine may call it.
	Stop()
	// Close releases the tap, after Run.
	Close()
}

// connect sets up everything that packets need of a run of pasta: the decision
// about addresses, the tap in the namespace of the thread ns, and the rest of the
// guest. It tells the user about it by log. After an error the process ends, and with
// it what was opened.
func connect(o *Options, log *slog.Logger, ns *netns.Thread, capture *os.File) (*run, error) {
	plan, err := decide(o.Net)
	if err != nil {
		return nil, worded(err)
	}
	tell(log, plan.Infos, plan.Warnings)
	dev, applied, err := openTap(ns, plan.Namespace, o.Offload)
	if err != nil {
		return nil, err
	}
	tell(log, nil, applied.Warnings)
	cfg := plan.Config()
	cfg.TCP, cfg.UDP, cfg.ICMP = o.TCP, o.UDP, o.ICMP
	cfg.Offload, cfg.Bypass = o.Offload, o.Bypass
	g := guest{
		cfg: cfg, link: service.Link{Device: dev, GuestMAC: applied.MAC}, ns: ns,
		forwards: o.Forwards, freeBind: o.FreeBind, capture: capture, statsEvery: o.StatsEvery,
	}
	r, err := g.wire(log)
	if err != nil {
		return nil, worded(err)
	}
	summary := plan.Summary(o.Forwards[fwd.Host], o.Forwards[fwd.Splice])
	tell(log, strings.Split(strings.TrimSuffix(summary, "\n"), "\n"), nil)
	r.network = networkInfo(&cfg)
	return r, nil
}

// tell logs lines for the user.
func tell(log *slog.Logger, infos, warnings []string) {
	for _, line := range warnings {
		log.Warn(line)
	}
	for _, line := range infos {
		log.Info(line)
	}
}

// decide reads the host's state, in the namespace of the process, and plans.
func decide(o netcfg.Options) (netcfg.Plan, error) {
	conn, err := rtnl.Open()
	if err != nil {
		return netcfg.Plan{}, err
	}
	defer conn.Close()
	host, err := netcfg.Discover(conn)
	if err != nil {
		return netcfg.Plan{}, err
	}
	// A host without resolvers is told about by the plan's warnings.
	rc, _ := resolv.Read(resolv.Path)
	return netcfg.Decide(host, rc, o)
}

// openTap makes the tap, if the plan has one, on the thread ns and configures the
// namespace.
func openTap(ns *netns.Thread, plan netcfg.NamespacePlan, off config.Offload) (tap.Device, netcfg.Applied, error) {
	dev := tap.Device(tap.Null{})
	var applied netcfg.Applied
	err := ns.Do(func() error {
		if plan.IfName != "" {
			tun, err := tap.OpenTUN(plan.IfName, tap.Features{
				VnetHdr: off.VnetHdr, Checksum: off.Checksum, TSO4: off.TSO, TSO6: off.TSO, USO: off.USO,
			})
			if err != nil {
				return tapError(err, plan.IfName)
			}
			dev = tun
		}
		conn, err := rtnl.Open()
		if err != nil {
			return worded(err)
		}
		defer conn.Close()
		applied, err = netcfg.ConfigureNamespace(conn, plan)
		return worded(err)
	})
	return dev, applied, err
}

// tapError words an error of making the tap called name.
func tapError(err error, name string) error {
	hint := ""
	if errors.Is(err, syscall.EBUSY) {
		hint = fmt.Sprintf("\nInterface %s of the namespace is in use: end who uses it, or choose another name with --ns-ifname", name)
	}
	return messagef("%s%s\nFailed to set up tap device in namespace", worded(err), hint)
}

// hostTimeouts reads how the host's own TCP connects into t. What cannot be read
// leaves the core's default.
func hostTimeouts(t *config.Timeouts) {
	t.TCPSynRetries, _ = sysctl("tcp_syn_retries")
	if n, ok := sysctl("tcp_syn_linear_timeouts"); ok {
		t.TCPSynLinear = &n
	}
	rtoMaxMillis, _ := sysctl("tcp_rto_max_ms")
	t.TCPRTOMax = time.Duration(rtoMaxMillis) * time.Millisecond
}

// sysctl reads a number below net.ipv4 of the host; 0 and false if there is none.
func sysctl(name string) (n int, ok bool) {
	b, err := os.ReadFile("/proc/sys/net/ipv4/" + name)
	if err != nil {
		return 0, false
	}
	n, err = strconv.Atoi(strings.TrimSpace(string(b)))
	return n, err == nil
}
