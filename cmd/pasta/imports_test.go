package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module = "github.com/pasta-net/pasta/"
	root   = "../.."
)

// layers is the import rule of the module as data, from the lowest layer to the
// highest. A package belongs to the row with its longest matching prefix; it may
// import packages of lower rows, packages below its own prefix, and of its own
// row only what sideways lists.
var layers = [][]string{
	{"core/checksum", "core/seqnum"},
	{"core/sys", "core/packet"},
	{"core/pcap"},
	{"core/flow", "core/tap", "core/loop"},
	{"core/fwd"},
	{"core/config", "core/hostsock"},
	{"core/tcp", "core/udp", "core/icmp", "core/splice", "core/neigh", "core/dhcp", "core/dns", "core/reasm", "core/isolate"},
	{"core/engine"},
	{"core/coretest"},
	{"netcfg/rtnl", "netcfg/netns", "netcfg/resolv"},
	{"netcfg"},
	{"portfwd"},
	{"compat"},
	{"cmd/pasta/daemon"},
	{"cmd/pasta/command"},
	{"cmd/pasta/internal"},
	{"cmd/pasta"},
	{"tests"},
}

// sideways lists the imports allowed within one row, besides a package's own
// sub-packages.
var sideways = map[string][]string{
	"core/packet": {"core/sys"},
	"core/loop":   {"core/flow", "core/tap"},
}

// testSupport are packages that tests, and only tests, may import from anywhere.
var testSupport = []string{"core/coretest", "netcfg/netns/netnstest", "netcfg/rtnl/rtnltest"}

// restricted names the only places that may import a package. Tests elsewhere may
// too, unless testsToo is set.
var restricted = []struct {
	imported string
	allowed  []string
	testsToo bool
}{
	{"unsafe", []string{"core/sys"}, true},
	{"golang.org/x/sys/unix", []string{"core/sys", "core/isolate", "netcfg/rtnl", "netcfg/netns"}, true},
	{"github.com/spf13/cobra", []string{"cmd", "compat"}, true},
	{"github.com/spf13/pflag", []string{"cmd", "compat"}, true},
	{"github.com/vishvananda/netlink", []string{"netcfg/rtnl"}, true},
	{"github.com/google/go-cmp/cmp", testSupport, false},
}

// file is one parsed source file of the module.
type file struct {
	dir    string // package directory below the root, with forward slashes
	name   string
	test   bool
	syntax *ast.File
}

// parseTree parses every Go file of the module.
func parseTree(t *testing.T, mode parser.Mode) []file {
	t.Helper()
	var files []file
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if base := entry.Name(); name != root && (strings.HasPrefix(base, ".") || base == "testdata" || base == "bin") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), name, nil, mode)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		files = append(files, file{
			dir: path.Dir(rel), name: rel, test: strings.HasSuffix(rel, "_test.go"), syntax: syntax,
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("found no Go files")
	}
	return files
}

func imports(f file) []string {
	var names []string
	for _, spec := range f.syntax.Imports {
		if name, err := strconv.Unquote(spec.Path.Value); err == nil {
			names = append(names, name)
		}
	}
	return names
}

// within tells whether dir is prefix or below it.
func within(dir, prefix string) bool {
	return dir == prefix || strings.HasPrefix(dir, prefix+"/")
}

// level returns the row of a package and the prefix that put it there.
func level(dir string) (row int, prefix string) {
	row = -1
	for i, prefixes := range layers {
		for _, p := range prefixes {
			if within(dir, p) && len(p) > len(prefix) {
				row, prefix = i, p
			}
		}
	}
	return row, prefix
}

// mayImport tells whether the layering allows package from to import package to.
func mayImport(from, to string) bool {
	fromRow, fromPrefix := level(from)
	toRow, toPrefix := level(to)
	return toRow < fromRow || fromPrefix == toPrefix || slices.Contains(sideways[fromPrefix], toPrefix)
}

func TestLayers(t *testing.T) {
	for _, f := range parseTree(t, parser.ImportsOnly) {
		row, _ := level(f.dir)
		if row < 0 {
			t.Errorf("%s: package %s has no row in the table of layers", f.name, f.dir)
			continue
		}
		for _, imported := range imports(f) {
			to, ours := strings.CutPrefix(imported, module)
			switch {
			case !ours:
			case slices.Contains(testSupport, to):
				if !f.test && !slices.Contains(testSupport, f.dir) {
					t.Errorf("%s: only tests may import %s", f.name, to)
				}
			case !mayImport(f.dir, to):
				t.Errorf("%s: %s may not import %s: it is not on a lower layer", f.name, f.dir, to)
			}
		}
	}
}

func TestRestrictedImports(t *testing.T) {
	for _, f := range parseTree(t, parser.ImportsOnly) {
		for _, imported := range imports(f) {
			for _, rule := range restricted {
				if imported != rule.imported || f.test && !rule.testsToo {
					continue
				}
				allowed := func(prefix string) bool { return within(f.dir, prefix) }
				if !slices.ContainsFunc(rule.allowed, allowed) {
					t.Errorf("%s: only %v may import %s", f.name, rule.allowed, imported)
				}
			}
		}
	}
}

// TestNoCgo holds the promise of a static binary.
func TestNoCgo(t *testing.T) {
	for _, f := range parseTree(t, parser.ImportsOnly) {
		if slices.Contains(imports(f), "C") {
			t.Errorf("%s: imports C", f.name)
		}
	}
}

func TestLayerTable(t *testing.T) {
	tests := []struct {
		from, to string
		want     bool
	}{
		{"cmd/pasta", "core/engine", true},
		{"cmd/pasta/daemon", "compat/slirp4netns", true},
		{"compat/slirp4netns", "portfwd", true},
		{"compat/slirp4netns", "cmd/pasta/daemon", false},
		{"portfwd", "netcfg", true},
		{"netcfg", "portfwd", false},
		{"netcfg", "netcfg/rtnl", true},
		{"netcfg/rtnl", "netcfg/rtnl/rtnltest", true},
		{"core/engine", "core/tcp", true},
		{"core/tcp", "core/udp", false},
		{"core/tcp", "core/config", true},
		{"core/config", "core/tcp", false},
		{"core/packet", "core/checksum", true},
		{"core/checksum", "core/seqnum", false},
		{"core/tap", "core/flow", false},
		{"core/fwd", "netcfg", false},
	}
	for _, tt := range tests {
		t.Run(tt.from+" imports "+tt.to, func(t *testing.T) {
			if got := mayImport(tt.from, tt.to); got != tt.want {
				t.Errorf("mayImport = %v, want %v", got, tt.want)
			}
		})
	}
}
