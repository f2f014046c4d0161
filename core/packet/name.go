package packet

import (
	"fmt"
	"strings"
)

// Limits of domain names on the wire in bytes (RFC 1035 section 2.3.4).
const (
	maxLabelLen = 63
	maxNameLen  = 255
)

// AppendName appends a domain name in the form of RFC 1035 section 3.1, without
// compression. A trailing dot makes no difference. Names with empty or
// overlong labels, with blanks or control characters, and names that
// are too long as a whole are errors, and b comes back as it was.
func AppendName(b []byte, name string) ([]byte, error) {
	out := b
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if err := checkLabel(label); err != nil {
			return b, fmt.Errorf("encode domain name %q: %w", name, err)
		}
		out = append(out, byte(len(label)))
		out = append(out, label...)
	}
	out = append(out, 0)
	if n := len(out) - len(b); n > maxNameLen {
		return b, fmt.Errorf("encode domain name %q: %d bytes exceed %d", name, n, maxNameLen)
	}
	return out, nil
}

func checkLabel(label string) error {
	if label == "" {
		return fmt.Errorf("empty label")
	}
	if len(label) > maxLabelLen {
		return fmt.Errorf("label of %d bytes exceeds %d", len(label), maxLabelLen)
	}
	if strings.ContainsFunc(label, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return fmt.Errorf("blank or control character in label")
	}
	return nil
}
