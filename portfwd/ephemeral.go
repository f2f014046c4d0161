package portfwd

import (
	"os"
	"strconv"
	"strings"
)

// ephemeralPath is where the kernel tells the range of its ephemeral ports.
const ephemeralPath = "/proc/sys/net/ipv4/ip_local_port_range"

// HostEphemeral is the host's range of ephemeral ports; the zero value, which
// stands for that of RFC 6335, if it cannot be read.
func HostEphemeral() Range {
	b, err := os.ReadFile(ephemeralPath)
	if err != nil {
		return Range{}
	}
	return parseEphemeral(string(b))
}

// parseEphemeral reads two numbers, first and last port (ip_sysctl: ip_local_port_range).
func parseEphemeral(text string) Range {
	fields := strings.Fields(text)
	if len(fields) != 2 {
		return Range{}
	}
	first, err1 := strconv.ParseUint(fields[0], 10, 16)
	last, err2 := strconv.ParseUint(fields[1], 10, 16)
	if err1 != nil || err2 != nil || first > last {
		return Range{}
	}
	return Range{First: uint16(first), Last: uint16(last)}
}
