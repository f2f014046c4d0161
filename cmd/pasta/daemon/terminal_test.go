package daemon

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
)

func TestInForeground(t *testing.T) {
	tests := []struct {
		name, stat string
		want       bool
	}{
		{"foreground", "10 (pasta) S 1 10 9 34816 10 4194560 0", true},
		{"background", "10 (pasta) S 1 10 9 34816 11 4194560 0", false},
		{"no terminal", "10 (pasta) S 1 10 9 0 -1 4194560 0", false},
		{"name with parentheses", "10 (a) S 1 2 3 4 5) S 1 10 9 34816 10 0", true},
		{"cut", "10 (pasta) S 1 10", false},
		{"no name", "10 10 10 10 10 10 10 10", false},
		{"empty", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := inForeground([]byte(tt.stat)); got != tt.want {
				t.Errorf("inForeground(%q): got %v, want %v", tt.stat, got, tt.want)
			}
		})
	}
}

func TestIsShell(t *testing.T) {
	if _, err := os.Stat(shells); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		command []string
		want    bool
	}{
		{"default", nil, true},
		{"by name", []string{"sh"}, true},
		{"by path", []string{"/bin/sh"}, true},
		{"with arguments", []string{"sh", "-c", "true"}, false},
		{"another program", []string{"cat"}, false},
		{"no program", []string{"no-such-program"}, false},
		{"line of the file", []string{""}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := isShell(tt.command); got != tt.want {
				t.Errorf("isShell(%q): got %v, want %v", tt.command, got, tt.want)
			}
		})
	}
}

func TestSignalIsDefault(t *testing.T) {
	status := func(ign, cgt string) string {
		return "Name:\tx\nSigBlk:\t2\nSigIgn:\t" + ign + "\nSigCgt:\t" + cgt + "\n"
	}
	tests := []struct {
		name, status string
		want         bool
	}{
		{"default", status("0000000000000000", "0000000000000000"), true},
		{"others handled", status("0000000000000001", "fffffffffffffffc"), true},
		{"ignored", status("0000000000000002", "0000000000000000"), false},
		{"caught", status("0000000000000000", "0000000000000002"), false},
		{"not a mask", status("x", "0"), false},
		{"incomplete", "SigIgn:\t0\n", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := signalIsDefault(tt.status, syscall.SIGINT); got != tt.want {
				t.Errorf("signalIsDefault(%q): got %v, want %v", tt.status, got, tt.want)
			}
		})
	}
}

func FuzzProcParsers(f *testing.F) {
	f.Add("10 (pasta) S 1 10 9 34816 10 4194560 0")
	f.Add(")0 0 0 0 0 0")
	f.Add("SigIgn:\t0\nSigCgt:\t2\n")
	f.Fuzz(func(t *testing.T, text string) {
		if inForeground([]byte(text)) && len(text) < len(")0 0 0 0 0 0") {
			t.Errorf("inForeground(%q): got true for too few fields", text)
		}
		if signalIsDefault(text, syscall.SIGINT) && len(text) < len("SigIgn:0\nSigCgt:0") {
			t.Errorf("signalIsDefault(%q): got true for too few lines", text)
		}
	})
}

func TestDefaultsToAsksTheKernel(t *testing.T) {
	if defaultsTo(os.Getpid(), syscall.SIGINT) {
		t.Error("this process, whose runtime catches SIGINT: got true, want false")
	}
	c := exec.Command("sh", "-c", "trap '' QUIT; echo; read x")
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Wait() }()
	defer in.Close()
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if defaultsTo(c.Process.Pid, syscall.SIGQUIT) {
		t.Error("shell that ignores SIGQUIT: got true, want false")
	}
	if !defaultsTo(c.Process.Pid, syscall.SIGTERM) {
		t.Error("shell and SIGTERM: got false, want true")
	}
}
