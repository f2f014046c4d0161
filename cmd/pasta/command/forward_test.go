package command

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pasta-net/pasta/core/fwd"
	"github.com/pasta-net/pasta/portfwd"
)

// checkForwards compares the rules of a command line, as texts, those on the host
// first.
func checkForwards(t *testing.T, args, want []string) {
	t.Helper()
	got, err := Parse(args, io.Discard)
	if err != nil {
		t.Fatalf("Parse(%q): %v", args, err)
	}
	var texts []string
	for _, rules := range got.Forwards {
		for _, r := range rules {
			texts = append(texts, r.String())
		}
	}
	if diff := cmp.Diff(want, texts); diff != "" {
		t.Errorf("Parse(%q): rules (-want +got):\n%s", args, diff)
	}
}

// auto are the texts of the rules that "auto" makes on this host.
func auto(proto fwd.Proto, listen string) []string {
	e := portfwd.HostEphemeral()
	var texts []string
	for _, r := range []portfwd.Range{{First: 1, Last: e.First - 1}, {First: e.Last + 1, Last: 65535}} {
		texts = append(texts, fmt.Sprintf("%s %s:%d-%d  =>  %d-%d (best effort) (auto-scan)",
			proto, listen, r.First, r.Last, r.First, r.Last))
	}
	return texts
}

func join(lists ...[]string) (all []string) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

func TestForwards(t *testing.T) {
	const none = " -T none -U none"
	tcp, udp := auto(fwd.TCP, "[*]"), auto(fwd.UDP, "[*]")
	tests := []struct {
		name, args string
		want       []string
	}{
		{"nothing given", "", join(tcp, udp, auto(fwd.TCP, "[*]%lo"), auto(fwd.UDP, "[*]%lo"))},
		{"-T remaps", "-t none -u none -U none -T 9000:9001", []string{"TCP [*]%lo:9000  =>  9001 "}},
		{"-U remaps", "-t none -u none -T none -U 9000:9001", []string{"UDP [*]%lo:9000  =>  9001 "}},
		{"nothing wanted", "-t none -u none" + none, nil},
		{"given -t leaves -u", "-t 8080" + none, join([]string{"TCP [*]:8080  =>  8080 "}, udp)},
		{"no TCP", "--no-tcp" + none, udp},
		{"no UDP and no TCP", "--no-udp --no-tcp", nil},
		{"none for what is switched off", "--no-udp --no-tcp -t none -U none", nil},
		{"IPv4 only", "-4" + none, join(auto(fwd.TCP, "[0.0.0.0]"), auto(fwd.UDP, "[0.0.0.0]"))},
		{
			"common order of -t and -u", "-t none -u 53 -t 8080:80 -u 5353" + none,
			[]string{"UDP [*]:53  =>  53 ", "TCP [*]:8080  =>  80 ", "UDP [*]:5353  =>  5353 "},
		},
		{
			"families known at the end", "-t [fd66::2]/8080-8081:80-81 -u none -4 -46" + none,
			[]string{"TCP [fd66::2]:8080-8081  =>  80-81 "},
		},
		{"implicit port driver of RootlessKit", "--tcp-ports=auto --udp-ports=auto" + none + " 4711", join(tcp, udp)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			checkForwards(t, strings.Fields(tt.args), tt.want)
		})
	}
}
