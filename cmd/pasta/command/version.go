package command

import (
	"runtime/debug"
	"strings"
)

// version is the release, set by the linker (see Makefile).
var version = ""

// Version returns the release text: what the linker was told, else the version
// of the module that "go install" built.
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && strings.HasPrefix(info.Main.Version, "v") {
		return info.Main.Version
	}
	return "devel"
}

// versionText is the output of --version. Callers parse the first line only.
func versionText(name, version string) string {
	return name + " " + version + `
Copyright The pasta authors
Licence: Apache-2.0 <https://www.apache.org/licenses/LICENSE-2.0>
This is free software: you are free to change and redistribute it.
There is NO WARRANTY, to the extent permitted by law.

`
}

// VersionText is the output of --version of a personality.
func VersionText(name string) string { return versionText(name, Version()) }
