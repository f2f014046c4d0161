package portfwd

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pasta-net/pasta/core/fwd"
)

// host is the environment of the contract's worked examples.
func host() Env {
	return Env{Proto: fwd.TCP, V4: true, V6: true, Ephemeral: Range{First: 32768, Last: 60999}}
}

// ruleTexts runs specifications through one table.
func ruleTexts(t *testing.T, env Env, specs ...string) ([]string, error) {
	t.Helper()
	var table Table
	for _, text := range specs {
		spec, err := ParseSpec(text)
		if err != nil {
			return nil, err
		}
		if err := table.AddSpec(spec, env); err != nil {
			return nil, err
		}
	}
	var texts []string
	for _, r := range table.Rules() {
		texts = append(texts, ruleText(r))
	}
	return texts, nil
}

func TestWorkedExamples(t *testing.T) {
	const low, high = "1-32767", "61000-65535"
	both := func(attrs string) []string {
		return []string{
			"TCP [*]:" + low + "  =>  " + low + " " + attrs,
			"TCP [*]:" + high + "  =>  " + high + " " + attrs,
		}
	}
	tests := []struct {
		name  string
		specs []string
		want  []string
	}{
		{"1 none", []string{"none"}, nil},
		{"2 auto", []string{"auto"}, both("(best effort) (auto-scan)")},
		{"3 all", []string{"all"}, both("(best effort)")},
		{"4 all and auto", []string{"all,auto"}, both("(best effort) (auto-scan)")},
		{"5 port", []string{"8080"}, []string{"TCP [*]:8080  =>  8080"}},
		{"6 remapped", []string{"8080:80"}, []string{"TCP [*]:8080  =>  80"}},
		{"7 two", []string{"8080,8081"}, []string{"TCP [*]:8080  =>  8080", "TCP [*]:8081  =>  8081"}},
		{"8 range", []string{"8080-8090"}, []string{"TCP [*]:8080-8090  =>  8080-8090"}},
		{"9 shifted range", []string{"8080-8090:9080-9090"}, []string{"TCP [*]:8080-8090  =>  9080-9090"}},
		{"12 address", []string{"10.66.0.2/8080"}, []string{"TCP [10.66.0.2]:8080  =>  8080"}},
		{"12 address in brackets", []string{"[10.66.0.2]/8080"}, []string{"TCP [10.66.0.2]:8080  =>  8080"}},
		{"13 v6", []string{"fd66::2/8080"}, []string{"TCP [fd66::2]:8080  =>  8080"}},
		{"13 v6 in brackets", []string{"[fd66::2]/8080"}, []string{"TCP [fd66::2]:8080  =>  8080"}},
		{"14 address and interface", []string{"10.66.0.2%vH/8080"}, []string{"TCP [10.66.0.2]%vH:8080  =>  8080"}},
		{"15 interface", []string{"%vH/8080"}, []string{"TCP [*]%vH:8080  =>  8080"}},
		{"18 empty listen", []string{"/8080"}, []string{"TCP [*]:8080  =>  8080"}},
		{
			"20 exclusion",
			[]string{"2000-5000,~3000-3010"},
			[]string{"TCP [*]:2000-2999  =>  2000-2999", "TCP [*]:3011-5000  =>  3011-5000"},
		},
		{
			"20 exclusion first",
			[]string{"~3000-3010,2000-5000"},
			[]string{"TCP [*]:2000-2999  =>  2000-2999", "TCP [*]:3011-5000  =>  3011-5000"},
		},
		{
			"exclusion in a shifted range",
			[]string{"100-110:200-210,~105"},
			[]string{"TCP [*]:100-104  =>  200-204", "TCP [*]:106-110  =>  206-210"},
		},
		{
			"21 exclusion with address",
			[]string{"10.66.0.2/8020-8030,~8025"},
			[]string{"TCP [10.66.0.2]:8020-8024  =>  8020-8024", "TCP [10.66.0.2]:8026-8030  =>  8026-8030"},
		},
		{"22 only exclusion", []string{"~20000-20010"}, []string{
			"TCP [*]:1-19999  =>  1-19999 (best effort)", "TCP [*]:20011-32767  =>  20011-32767 (best effort)",
			"TCP [*]:61000-65535  =>  61000-65535 (best effort)",
		}},
		{
			"23 repeated exclusion",
			[]string{"20-40,~22,~22"},
			[]string{"TCP [*]:20-21  =>  20-21", "TCP [*]:23-40  =>  23-40"},
		},
		{
			"23 overlapping exclusions",
			[]string{"10-40,~20-30,~25"},
			[]string{"TCP [*]:10-19  =>  10-19", "TCP [*]:31-40  =>  31-40"},
		},
		{"24 auto with exclusion", []string{"auto,~22"}, []string{
			"TCP [*]:1-21  =>  1-21 (best effort) (auto-scan)", "TCP [*]:23-32767  =>  23-32767 (best effort) (auto-scan)",
			"TCP [*]:61000-65535  =>  61000-65535 (best effort) (auto-scan)",
		}},
		{"25 range with auto", []string{"8000-8010,auto"}, []string{"TCP [*]:8000-8010  =>  8000-8010 (auto-scan)"}},
		{"26 auto on an address", []string{"::1/auto"}, []string{
			"TCP [::1]:1-32767  =>  1-32767 (best effort) (auto-scan)",
			"TCP [::1]:61000-65535  =>  61000-65535 (best effort) (auto-scan)",
		}},
		{"27 target address", []string{"0.0.0.0/5000:192.0.2.5/6000"}, []string{"TCP [0.0.0.0]:5000  =>  192.0.2.5:6000"}},
		{"28 all to an address", []string{"127.0.0.6/all:192.0.2.6"}, []string{
			"TCP [127.0.0.6]:1-32767  =>  192.0.2.6:1-32767 (best effort)",
			"TCP [127.0.0.6]:61000-65535  =>  192.0.2.6:61000-65535 (best effort)",
		}},
		{"31 unspecified target", []string{"8080:0.0.0.0/80"}, []string{"TCP [*]:8080  =>  80"}},
		{
			"34 two addresses",
			[]string{"10.66.0.2/8080", "127.0.0.1/8080"},
			[]string{"TCP [10.66.0.2]:8080  =>  8080", "TCP [127.0.0.1]:8080  =>  8080"},
		},
		{
			"wildcards of both families",
			[]string{"0.0.0.0/80", "::/80"},
			[]string{"TCP [0.0.0.0]:80  =>  80", "TCP [::]:80  =>  80"},
		},
		{
			"38 ephemeral ports",
			[]string{"32768", "40000-40010"},
			[]string{"TCP [*]:32768  =>  32768", "TCP [*]:40000-40010  =>  40000-40010"},
		},
		{"41 leading zero", []string{"08080"}, []string{"TCP [*]:8080  =>  8080"}},
		{"v6 address where a target was meant", []string{"5000:fd00::5/6000"}, []string{"TCP [5000:fd00::5]:6000  =>  6000"}},
		{"bracketed v6 target", []string{"[::1]/5000:[fd00::5]/6000"}, []string{"TCP [::1]:5000  =>  fd00::5:6000"}},
		{"target address, same port", []string{"0.0.0.0/5000:192.0.2.5"}, []string{"TCP [0.0.0.0]:5000  =>  192.0.2.5:5000"}},
		{"target address, empty range", []string{"0.0.0.0/5000:192.0.2.5/"}, []string{"TCP [0.0.0.0]:5000  =>  192.0.2.5:5000"}},
		{"highest port", []string{"65000-65535,~65535"}, []string{"TCP [*]:65000-65534  =>  65000-65534"}},
		{"one of two entries excluded", []string{"8080,9090,~8000-9000"}, []string{"TCP [*]:9090  =>  9090"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ruleTexts(t, host(), tt.specs...)
			if err != nil {
				t.Fatalf("%q: %v", tt.specs, err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%q (-want +got):\n%s", tt.specs, diff)
			}
		})
	}
}

// nothingLeft is the error for a specification without a port.
func nothingLeft(spec string) string {
	return "Port specifier '" + spec + "' forwards nothing: its exclusions leave no port\n" +
		"Leave one of them out, or write 'none' for no forwards"
}

// TestAllOfNothing: a host whose ports are all ephemeral has none for "all", which is
// the default, and so no error.
func TestAllOfNothing(t *testing.T) {
	env := host()
	env.Ephemeral = Range{First: 1, Last: 65535}
	if got, err := ruleTexts(t, env, "auto"); err != nil || len(got) > 0 {
		t.Errorf("auto = %q, %v, want no rule", got, err)
	}
}

func TestWorkedErrors(t *testing.T) {
	v4, v6 := host(), host()
	v4.V6, v6.V4 = false, false
	tests := []struct {
		name  string
		env   Env
		specs []string
		want  string
	}{
		{"10 length", host(), []string{"8080-8090:9080"}, "Invalid port specifier '8080-8090:9080'"},
		{"11 length", host(), []string{"8080-8090:9080-9091"}, "Invalid port specifier '8080-8090:9080-9091'"},
		{"17 empty interface", host(), []string{"%/8080"}, "Invalid port specifier '%/8080'"},
		{"17 empty interface of an address", host(), []string{"10.66.0.2%/8080"}, "Invalid port specifier '10.66.0.2%/8080'"},
		{"19 nothing behind the address", host(), []string{"10.66.0.2/"}, "Invalid port specifier ''"},
		{"19 empty", host(), []string{""}, "Invalid port specifier ''"},
		{
			"29 dual stack target", host(),
			[]string{"5000:192.0.2.5"},
			"Dual stack forward to IPv4 address 192.0.2.5 unsupported\nListen on one family, by an address before the ports (0.0.0.0/...) or with --ipv4-only\nUnable to add rule TCP [*]:5000  =>  192.0.2.5:5000",
		},
		{
			"dual stack target of IPv6", host(),
			[]string{"5000:[fd00::1]"},
			"Dual stack forward to IPv6 address fd00::1 unsupported\nListen on one family, by an address before the ports (::/...) or with --ipv6-only\n" +
				"Unable to add rule TCP [*]:5000  =>  fd00::1:5000",
		},
		{
			"dual stack multicast target", host(),
			[]string{"5000:224.0.0.1"},
			"Forward to multicast address 224.0.0.1 unsupported\nUnable to add rule TCP [*]:5000  =>  224.0.0.1:5000",
		},
		{
			"30 other family", host(),
			[]string{"0.0.0.0/5000:fd00::1/6000"},
			"Forward from IPv4 (0.0.0.0) to IPv6 (fd00::1) unsupported\nUnable to add rule TCP [0.0.0.0]:5000  =>  fd00::1:6000",
		},
		{
			"multicast target", host(),
			[]string{"0.0.0.0/5000:224.0.0.1"},
			"Forward to multicast address 224.0.0.1 unsupported\nUnable to add rule TCP [0.0.0.0]:5000  =>  224.0.0.1:5000",
		},
		{"32 auto with target", host(), []string{"auto:192.0.2.6"}, "Invalid port specifier 'auto:192.0.2.6'"},
		{
			"33 same port", host(),
			[]string{"8080,8080"},
			"Forwarding configuration conflict: TCP [*]:8080  =>  8080 versus TCP [*]:8080  =>  8080",
		},
		{
			"33 port in range", host(),
			[]string{"8080-8090,8085"},
			"Forwarding configuration conflict: TCP [*]:8085  =>  8085 versus TCP [*]:8080-8090  =>  8080-8090",
		},
		{
			"35 wildcard over address", host(),
			[]string{"0.0.0.0/8080", "8080"},
			"Forwarding configuration conflict: TCP [*]:8080  =>  8080 versus TCP [0.0.0.0]:8080  =>  8080",
		},
		{
			"any interface over one", host(),
			[]string{"%vH/8080", "8080"},
			"Forwarding configuration conflict: TCP [*]:8080  =>  8080 versus TCP [*]%vH:8080  =>  8080",
		},
		{"everything excluded", host(), []string{"8080,~8000-9000"}, nothingLeft("8080,~8000-9000")},
		{"all excluded", host(), []string{"127.0.0.1/~1-65535"}, nothingLeft("127.0.0.1/~1-65535")},
		{"what auto may follow excluded", host(), []string{"auto,~1-40000,~30000-65535"}, nothingLeft("auto,~1-40000,~30000-65535")},
		{"every entry excluded", host(), []string{"80", "8080:80,8081:81,~8080,~8081"}, nothingLeft("8080:80,8081:81,~8080,~8081")},
		{"39 port zero", host(), []string{"0"}, "Forwarding rule attempts to map from port 0"},
		{"42 v6 off", v4, []string{"::1/80"}, "IPv6 forward, but IPv6 not enabled"},
		{"42 v4 off", v6, []string{"127.0.0.1/80"}, "IPv4 forward, but IPv4 not enabled"},
		{"long interface", host(), []string{"%abcdefghijklmnop/80"}, "Invalid port specifier '%abcdefghijklmnop/80'"},
		{"mapped address", host(), []string{"::ffff:1.2.3.4/80"}, "Invalid port specifier '::ffff:1.2.3.4/80'"},
		{"unclosed bracket", host(), []string{"[::1/80"}, "Invalid port specifier '[::1/80'"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ruleTexts(t, tt.env, tt.specs...)
			if err == nil || err.Error() != tt.want {
				t.Errorf("%q = %q, error %v, want error %q", tt.specs, got, err, tt.want)
			}
		})
	}
}

func TestInvalidSpecs(t *testing.T) {
	// Row 40 of the contract, row 41 ([ours]) and neighbours.
	for _, spec := range []string{
		"65536", "8080-8070", "8080,", ",8080", "80-", "-80", "8080x", "foo", "8080:", "8080:foo", "none,8080",
		"tcp/8080", "localhost/8080", "8080/8081", "+8080", " 8080", "8080:0", "all:", "all:80", "~", "~22:23",
		"8080:[192.0.2.5]/80", "8080:/80", "80:81:82", "8080:192.0.2.5/80-81", "8080:[fe80::1%eth0]/80", "0x50", "AUTO",
	} {
		t.Run(spec, func(t *testing.T) {
			_, err := ParseSpec(spec)
			var want *SpecError
			if !errors.As(err, &want) || want.Spec != spec {
				t.Errorf("ParseSpec(%q) = %v, want a SpecError naming it", spec, err)
			}
		})
	}
}

func TestWildcardFollowsFamilies(t *testing.T) {
	tests := []struct {
		name   string
		v4, v6 bool
		spec   string
		want   string
	}{
		{"both", true, true, "8080", "TCP [*]:8080  =>  8080"},
		{"IPv4 only", true, false, "8080", "TCP [0.0.0.0]:8080  =>  8080"},
		{"IPv6 only", false, true, "8080", "TCP [::]:8080  =>  8080"},
		{"29 IPv4 only with target", true, false, "5000:192.0.2.5", "TCP [0.0.0.0]:5000  =>  192.0.2.5:5000"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			env := host()
			env.V4, env.V6 = tt.v4, tt.v6
			got, err := ruleTexts(t, env, tt.spec)
			if err != nil || len(got) != 1 || got[0] != tt.want {
				t.Errorf("%q = %q, %v, want %q", tt.spec, got, err, tt.want)
			}
		})
	}
}

func TestFromGuestListensOnLoopback(t *testing.T) {
	env := host()
	env.FromGuest = true
	got, err := ruleTexts(t, env, "9000:9001")
	if want := "TCP [*]%lo:9000  =>  9001"; err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("-T 9000:9001 = %q, %v, want %q", got, err, want)
	}
}

func TestHasListen(t *testing.T) {
	for spec, want := range map[string]bool{
		"8080": false, "/8080": false, "127.0.0.1/80": true, "%lo/80": true, "none": false,
	} {
		s, err := ParseSpec(spec)
		if err != nil || s.HasListen() != want {
			t.Errorf("ParseSpec(%q).HasListen() = %v, %v, want %v", spec, s.HasListen(), err, want)
		}
	}
}

func TestAllWithoutKnownEphemeralRange(t *testing.T) {
	env := host()
	env.Ephemeral = Range{}
	got, err := ruleTexts(t, env, "all")
	if want := "TCP [*]:1-49151  =>  1-49151 (best effort)"; err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("all = %q, %v, want %q", got, err, want)
	}
}

// FuzzParseSpec checks that no specification panics, and that its rules are
// ordered ranges that leave out every excluded port.
func FuzzParseSpec(f *testing.F) {
	for _, seed := range []string{
		"none", "auto", "all:192.0.2.1", "8080-8090:9080-9090", "10.66.0.2%vH/8020-8030,~8025",
		"[fd66::2]/80:[fd00::1]/81", "0", "~1-65535", "%x/1", "5000:fd00::5/6000", ",", "1-65535:1-65535,~65535",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 {
			t.Skip("longer than any test of ours needs")
		}
		spec, err := ParseSpec(text)
		if err != nil {
			var specErr *SpecError
			if !errors.Is(err, ErrPortZero) && (!errors.As(err, &specErr) || !strings.HasSuffix(text, specErr.Spec)) {
				t.Errorf("ParseSpec(%q) = %v", text, err)
			}
			return
		}
		rules, err := spec.Rules(host())
		if err != nil {
			return
		}
		for _, r := range rules {
			checkRule(t, spec, r)
		}
	})
}

func checkRule(t *testing.T, spec Spec, r fwd.Rule) {
	t.Helper()
	if r.First == 0 || r.First > r.Last || int(r.Target)+int(r.Last-r.First) > 65535 {
		t.Errorf("%q: rule %v has a bad range", spec.Text, r)
	}
	for _, x := range spec.Exclude {
		if r.First <= x.Last && x.First <= r.Last {
			t.Errorf("%q: rule %v holds excluded ports %v", spec.Text, r, x)
		}
	}
	if r.Listen == (netip.Addr{}) && r.TargetAddr.IsValid() {
		t.Errorf("%q: dual-stack rule %v has a target address", spec.Text, r)
	}
}
