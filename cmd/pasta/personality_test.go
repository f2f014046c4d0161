package main

import "testing"

func TestPersonality(t *testing.T) {
	tests := []struct {
		argv0, want string
		ok          bool
	}{
		{"pasta", "pasta", true},
		{"/usr/bin/pasta", "pasta", true},
		{"-pasta", "pasta", true},
		{"pasta.avx2", "pasta", true},
		{"pasta-dev", "pasta", true},
		{"passt", "passt", true},
		{"/opt/bin/passt.avx2", "passt", true},
		{"passt4netns", "passt", true},
		{"slirp4netns", "slirp4netns", true},
		{"./vpnkit", "vpnkit", true},
		{"pesto", "pesto", true},
		{"slirp4netns.old", "", false},
		{"/pasta/bin/foo", "", false},
		{"foo", "", false},
		{"", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.argv0, func(t *testing.T) {
			name, ok := personality([]string{tt.argv0})
			if name != tt.want || ok != tt.ok {
				t.Errorf("personality(%q) = %q, %v, want %q, %v", tt.argv0, name, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestPersonalityWithoutProgramName(t *testing.T) {
	if name, ok := personality(nil); ok {
		t.Errorf("personality(nil) = %q, want none", name)
	}
}

func TestMissingPersonalitiesExitWithOne(t *testing.T) {
	for _, argv0 := range []string{"passt", "foo"} {
		if got := run([]string{argv0, "--version"}); got != 1 {
			t.Errorf("run(%q) = %d, want 1", argv0, got)
		}
	}
}

func TestOtherPersonalities(t *testing.T) {
	for _, argv0 := range []string{"/usr/bin/pesto", "slirp4netns", "vpnkit"} {
		if got := run([]string{argv0, "--version"}); got != 0 {
			t.Errorf("run(%s --version) = %d, want 0", argv0, got)
		}
	}
}
