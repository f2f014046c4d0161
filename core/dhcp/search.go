package dhcp

import (
	"log/slog"
	"strings"

	"github.com/pasta-net/pasta/core/packet"
)

// maxPointer is the highest offset that a compression pointer can hold.
const maxPointer = 0x3fff

// searchList4 encodes names with the compression of RFC 1035 section 4.1.4, which
// RFC 3397 allows; nil if none is left.
func searchList4(names []string, log *slog.Logger) []byte {
	var b []byte
	offsets := make(map[string]int)
	for _, name := range validNames(names, log) {
		b = appendCompressed(b, offsets, name)
	}
	return b
}

// appendCompressed appends a valid name. offsets tells where each name and parent
// of a name that b holds starts.
func appendCompressed(b []byte, offsets map[string]int, name string) []byte {
	for name != "" {
		if at, ok := offsets[name]; ok {
			return append(b, 0xc0|byte(at>>8), byte(at))
		}
		if len(b) <= maxPointer {
			offsets[name] = len(b)
		}
		label, parent, _ := strings.Cut(name, ".")
		b = append(append(b, byte(len(label))), label...)
		name = parent
	}
	return append(b, 0)
}

// validNames leaves out, with a warning, what has no form on the wire, and
// trailing dots.
func validNames(names []string, log *slog.Logger) []string {
	var valid []string
	for _, name := range names {
		if _, err := packet.AppendName(nil, name); err != nil {
			log.Warn("search domain not sent by DHCP", "err", err)
			continue
		}
		valid = append(valid, strings.TrimSuffix(name, "."))
	}
	return valid
}
