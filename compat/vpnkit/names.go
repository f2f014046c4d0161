package vpnkit

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"

	"github.com/pasta-net/pasta/core/config"
)

// Bounds on what is read of files.
const (
	maxFile  = 1 << 20 // bytes
	maxNames = 1 << 14
)

// names are those that DNS knows beside the resolver's.
type names struct {
	host, gateway, vm []string
	// hostsFile has more; it may be missing.
	hostsFile string
}

// forGuest lists the names that a guest finds.
func (n *names) forGuest(net *network, g guest) []config.Name {
	var list []config.Name
	for _, group := range []struct {
		names []string
		addr  netip.Addr
	}{{n.host, net.host}, {n.gateway, net.gateway}, {n.vm, g.ip}} {
		for _, name := range group.names {
			if group.addr.IsValid() {
				list = append(list, config.Name{Name: name, Addr: group.addr})
			}
		}
	}
	f, err := os.Open(n.hostsFile)
	if err != nil {
		return list
	}
	defer f.Close()
	return append(list, parseHosts(f)...)
}

// parseHosts reads a hosts file (hosts(5)). Lines that make no sense are ignored, as
// everybody does.
func parseHosts(r io.Reader) (list []config.Name) {
	sc := bufio.NewScanner(io.LimitReader(r, maxFile))
	sc.Buffer(nil, maxFile+1)
	for sc.Scan() {
		text, _, _ := strings.Cut(sc.Text(), "#")
		fields := strings.Fields(text)
		if len(fields) < 2 {
			continue
		}
		addr, err := netip.ParseAddr(fields[0])
		if err != nil || addr.Zone() != "" {
			continue
		}
		for _, name := range fields[1:] {
			if len(list) == maxNames {
				return list
			}
			list = append(list, config.Name{Name: name, Addr: addr.Unmap()})
		}
	}
	return list
}

// dhcpFile is the file of --dhcp-path.
type dhcpFile struct {
	SearchDomains []string `json:"searchDomains"`
	DomainName    string   `json:"domainName"`
}

// readDHCP reads such a file; an empty path is an empty file.
func readDHCP(path string) (d dhcpFile, err error) {
	if path == "" {
		return d, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return d, err
	}
	defer f.Close()
	if err := json.NewDecoder(io.LimitReader(f, maxFile)).Decode(&d); err != nil {
		return d, fmt.Errorf("read %s: %w", path, err)
	}
	return d, nil
}
