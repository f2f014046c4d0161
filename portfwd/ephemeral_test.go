package portfwd

import "testing"

func TestParseEphemeral(t *testing.T) {
	for text, want := range map[string]Range{
		"32768\t60999\n": {32768, 60999},
		"1 65535":        {1, 65535},
		"":               {},
		"32768":          {},
		"5 4":            {},
		"a b":            {},
		"1 65536":        {},
		"1 2 3":          {},
	} {
		if got := parseEphemeral(text); got != want {
			t.Errorf("parseEphemeral(%q) = %v, want %v", text, got, want)
		}
	}
	if HostEphemeral() == (Range{}) {
		t.Error("the range of this host cannot be read")
	}
}
