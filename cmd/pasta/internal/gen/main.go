// Command gen writes the man pages and the shell completions of pasta, pesto and vpnkit
// from their command trees, below the directory given (the root of the repository). The
// files are committed; "make check-generated" fails if they differ.
//
// The completions are static: cobra's own would run the binary with "__complete"
// as first word, which pasta takes for a command to run.
package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/pasta-net/pasta/cmd/pasta/command"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gen DIRECTORY")
		os.Exit(1)
	}
	if err := generate(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// outputs returns the generated files by their path below the root.
func outputs(cmd *cobra.Command) map[string]string {
	options := tableOf(cmd)
	return map[string]string{
		"docs/man/pasta.1":       manPage(cmd, options),
		"completions/pasta.bash": bashScript(options),
		"completions/pasta.zsh":  zshScript(options),
		"completions/pasta.fish": fishScript(options),
	}
}

// allOutputs returns those of every personality.
func allOutputs() map[string]string {
	files := outputs(command.New())
	for _, p := range programs() {
		maps.Copy(files, p.outputs())
	}
	return files
}

// programs are the other personalities.
func programs() []*program { return []*program{pestoProgram(), slirp4netnsProgram(), vpnkitProgram()} }

// generate writes all files below dir.
func generate(dir string) error {
	for name, text := range allOutputs() {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
