package command

import (
	"fmt"
	"io"

	"github.com/pasta-net/pasta/cmd/pasta/daemon"
	"github.com/pasta-net/pasta/core/config"
	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/netcfg"
)

// Defaults of the option table.
const (
	defaultMTU     = 65520
	defaultLogSize = 1 << 20 // bytes
)

// defaultMAC is the source address of our frames.
func defaultMAC() [6]byte { return [6]byte{0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55} }

// settings is the state of one parse: the options so far, and what is needed to
// judge one option by another at the end.
type settings struct {
	opts   daemon.Options
	stderr io.Writer
	// again is set when another process has parsed the same words before.
	again bool

	// lengthInAddress and lengthInMask tell whether -a and -n gave an IPv4
	// prefix length, which -n does only if it is not 0.
	lengthInAddress, lengthInMask bool
	// given tells whether an option was there at all, whatever its argument.
	given func(name string) bool
	// ports are the specifications of -t, -u, -T and -U.
	ports portSpecs
}

func newSettings(stderr io.Writer) *settings {
	return &settings{
		stderr: stderr,
		opts: daemon.Options{
			Name: "pasta", Version: Version(), LogSize: defaultLogSize,
			TCP: true, UDP: true, ICMP: true,
			Net:     netcfg.Options{V4: true, V6: true, MTU: defaultMTU, OurMAC: defaultMAC()},
			Bypass:  fwd.Bypass{Inbound: true},
			Offload: config.Offload{VnetHdr: true, Checksum: true, TSO: true, USO: true},
		},
	}
}

// warn prints a line that does not end the run. A failing standard error is no
// reason to end it either.
func (s *settings) warn(format string, args ...any) {
	_, _ = fmt.Fprintf(s.stderr, format+"\n", args...)
}
