package main

import (
	"path/filepath"
	"strings"
)

// personality names the program that argv[0] asks for. The names of the passt
// family only need to be contained in it ("pasta.avx2"), others must be exact.
func personality(argv []string) (name string, ok bool) {
	if len(argv) == 0 {
		return "", false
	}
	base := filepath.Base(argv[0])
	switch {
	case strings.Contains(base, "pasta"):
		return "pasta", true
	case strings.Contains(base, "passt"):
		return "passt", true
	case base == "slirp4netns", base == "vpnkit", base == "pesto":
		return base, true
	}
	return "", false
}
