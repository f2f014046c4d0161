package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pasta-net/pasta/cmd/pasta/command"
)

func TestGeneratedFilesAreCurrent(t *testing.T) {
	for name, want := range allOutputs() {
		got, err := os.ReadFile(filepath.Join("../../../..", name))
		if err != nil {
			t.Errorf("%v; run make generate", err)
		} else if string(got) != want {
			t.Errorf("%s is stale; run make generate", name)
		}
	}
}

func TestGenerateWritesEveryFile(t *testing.T) {
	dir := t.TempDir()
	if err := generate(dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range allOutputs() {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %d bytes, error %v, want %d bytes", name, len(got), err, len(want))
		}
	}
}

func TestEveryOptionIsInEveryFile(t *testing.T) {
	files := outputs(command.New())
	for _, o := range tableOf(command.New()) {
		if !strings.Contains(files["docs/man/pasta.1"], `\-\-`+roff(o.long)+`\fP`) {
			t.Errorf("man page lacks --%s", o.long)
		}
		for _, shell := range []string{"bash", "zsh"} {
			if got := strings.Contains(files["completions/pasta."+shell], "--"+o.long); got == o.hidden {
				t.Errorf("%s completion has --%s: %v, want %v", shell, o.long, got, !o.hidden)
			}
		}
		if got := strings.Contains(files["completions/pasta.fish"], " -l "+o.long+" "); got == o.hidden {
			t.Errorf("fish completion has --%s: %v, want %v", o.long, got, !o.hidden)
		}
	}
}

func TestManPageSections(t *testing.T) {
	text := outputs(command.New())["docs/man/pasta.1"]
	at := 0
	for _, section := range []string{
		"NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", `PORT SPECIFICATIONS`, "EXIT STATUS", "SIGNALS", "ENVIRONMENT", "FILES",
		"EXAMPLES", "SEE ALSO",
	} {
		i := strings.Index(text[at:], ".SH "+section+"\n")
		if i < 0 {
			t.Fatalf("man page lacks section %s, or it is out of order", section)
		}
		at += i
	}
}

func TestRoff(t *testing.T) {
	for text, want := range map[string]string{
		"plain": "plain", "a-b": `a\-b`, `back\slash`: `back\eslash`, ".start": `\&.start`, "'start": `\&'start`, "~22": `\(ti22`,
	} {
		if got := roff(text); got != want {
			t.Errorf("roff(%q) = %q, want %q", text, got, want)
		}
	}
}

// bashComplete completes line with the generated script of a program in a real bash.
func bashComplete(t *testing.T, program, line string) []string {
	t.Helper()
	script := filepath.Join(t.TempDir(), "script.bash")
	if err := os.WriteFile(script, []byte(allOutputs()["completions/"+program+".bash"]), 0o600); err != nil {
		t.Fatal(err)
	}
	const driver = `. "$1"; COMP_LINE=$2 COMP_POINT=${#2}; read -ra COMP_WORDS <<<"$2"
[[ $2 == *' ' ]] && COMP_WORDS+=(""); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); "_$3"; printf '%s\n' "${COMPREPLY[@]}"`
	out, err := exec.Command("bash", "-c", driver, "bash", script, line, program).CombinedOutput()
	if err != nil {
		t.Fatalf("bash: %v\n%s", err, out)
	}
	return strings.Fields(string(out))
}

func TestBashCompletion(t *testing.T) {
	tests := []struct {
		name, line string
		want       string // one of the proposals
	}{
		{"long option", "pasta --config", "--config-net"},
		{"option after options", "pasta -dm 1500 --no-map", "--no-map-gw"},
		{"interface", "pasta -i ", "lo"},
		{"interface of a cluster", "pasta -di ", "lo"},
		{"interface behind =", "pasta --interface=l", "lo"},
		{"file", "pasta --pid /etc/nsswitch.con", "/etc/nsswitch.conf"},
		{"command", "pasta --config-net bas", "bash"},
		{"command behind --", "pasta -- bas", "bash"},
		{"argument of the command", "pasta --config-net cat /etc/nsswitch.con", "/etc/nsswitch.conf"},
		{"argument of the command behind --", "pasta -- cat /etc/nsswitch.con", "/etc/nsswitch.conf"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := bashComplete(t, "pasta", tt.line)
			for _, proposal := range got {
				if proposal == tt.want {
					return
				}
			}
			t.Errorf("completing %q proposes %q, want %q among them", tt.line, got, tt.want)
		})
	}
}

func TestBashCompletionLeavesCommandAlone(t *testing.T) {
	if got := bashComplete(t, "pasta", "pasta ls --config"); len(got) != 0 {
		t.Errorf("completing an option of the command proposes %q, want nothing", got)
	}
}

func TestEveryOptionOfOtherProgramsIsInEveryFile(t *testing.T) {
	for _, p := range programs() {
		name, files, options := p.cmd.Name(), p.outputs(), p.options()
		if len(options) == 0 {
			t.Fatalf("%s has no options", name)
		}
		for _, o := range options {
			for file, form := range map[string]string{
				"docs/man/" + name + ".1": `\-\-` + roff(o.long) + `\fP`, "completions/" + name + ".bash": "--" + o.long,
				"completions/" + name + ".zsh": "--" + o.long, "completions/" + name + ".fish": " -l " + o.long + " ",
			} {
				if !strings.Contains(files[file], form) {
					t.Errorf("%s lacks --%s", file, o.long)
				}
			}
		}
	}
}

func TestBashCompletionOfOtherPrograms(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"pesto --del", "--delete"},
		{"pesto -C S", "SPLICE"},
		{"pesto --clear H", "HOST"},
		{"pesto /etc/nsswitch.con", "/etc/nsswitch.conf"},
		{"vpnkit --gateway", "--gateway-ip --gateway-names"},
		{"vpnkit --hosts /etc/nsswitch.con", "/etc/nsswitch.conf"},
		{"vpnkit /etc/nsswitch.con", ""},
	} {
		name, _, _ := strings.Cut(tt.line, " ")
		if got := strings.Join(bashComplete(t, name, tt.line), " "); got != tt.want {
			t.Errorf("completing %q proposes %q, want %q", tt.line, got, tt.want)
		}
	}
}
