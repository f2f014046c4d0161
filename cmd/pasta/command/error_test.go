package command

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/pasta-net/pasta/compat/getopt"
)

// TestErrors holds the exact text of each refusal. Arguments are separated by
// spaces; "”" is an empty one.
func TestErrors(t *testing.T) {
	long := strings.Repeat("x", 256)
	tests := []struct{ args, want string }{
		{"--log-size 16384", "Invalid --log-size: 16384"},
		{"--log-size 64k", "Invalid --log-size: 64k"},
		{"--log-size 0b1000000000000000000", "Invalid --log-size: 0b1000000000000000000"},
		{"--log-size 1_000_000", "Invalid --log-size: 1_000_000"},
		{"--runas no-such-user", "Invalid --runas option: no-such-user"},
		{"--runas 0:no-such-group", "Invalid --runas option: 0:no-such-group"},
		{"--runas 107:", "Invalid --runas option: 107:"},
		{"--runas ''", "Invalid --runas option: "},
		{"-F x", "Invalid --fd: x"},
		{"-F -1", "Invalid --fd: -1"},
		{"-F 2", "Invalid --fd: 2"},
		{"-F 987654", "Could not move --fd descriptor: Bad file descriptor"},

		{"-l ''", "Invalid --log-file: empty path"},
		{"-p ''", "Invalid --pcap: empty path"},
		{"-P ''", "Invalid --pid: empty path"},
		{"-c ''", "Invalid --conf-path: empty path"},
		{"--api-socket ''", "Invalid --api-socket: empty path"},
		{"--userns ''", "Invalid --userns: empty path"},

		{"-m 1500x", "Invalid MTU: 1500x"},
		{"-m -1", "Invalid MTU: -1"},
		{"-m ''", "Invalid MTU: "},
		{"-m 65522", "MTU 65522 too large (max 65521)"},
		{"-m 08", "Invalid MTU: 08"},
		{"-a 0.0.0.0", "Invalid guest address: 0.0.0.0"},
		{"-a ::", "Invalid guest address: ::"},
		{"-a 127.0.0.1", "Invalid guest address: 127.0.0.1"},
		{"-a ::1", "Invalid guest address: ::1"},
		{"-a 224.0.0.1", "Invalid guest address: 224.0.0.1"},
		{"-a ff02::1", "Invalid guest address: ff02::1"},
		{"-a 255.255.255.255", "Invalid guest address: 255.255.255.255"},
		{"-a fe80::1%lo", "Invalid guest address: fe80::1%lo"},
		{"-a foo", "Invalid guest address: foo"},
		{"-a 10.0.2.1/33", "Invalid prefix length: 10.0.2.1/33"},
		{"-a fd00::1/129", "Invalid prefix length: fd00::1/129"},
		{"-a 10.0.2.1/", "Invalid prefix length: 10.0.2.1/"},
		{"-a 10.0.2.1/24 -n 24", "Redundant prefix length specification"},
		{"-n 24 -a 10.0.2.1/24", "Redundant prefix length specification"},
		{"-n 33", "Invalid prefix length: 33"},
		{"-n 255.0.255.0", "Invalid prefix length: 255.0.255.0"},
		{"-n x", "Invalid prefix length: x"},
		{"-M 9a:55:9a:55:9a", "Invalid MAC address: 9a:55:9a:55:9a"},
		{"-M 9a-55-9a-55-9a-55", "Invalid MAC address: 9a-55-9a-55-9a-55"},
		{"-M 9a:55:9a:55:9a:5", "Invalid MAC address: 9a:55:9a:55:9a:5"},
		{"-M 9a:55:9a:55:9a:55:00", "Invalid MAC address: 9a:55:9a:55:9a:55:00"},
		{"--ns-mac-addr zz:55:9a:55:9a:55", "Invalid MAC address: zz:55:9a:55:9a:55"},
		{"--ns-mac-addr 01:55:9a:55:9a:55", "Invalid MAC address: 01:55:9a:55:9a:55 (of a group, no interface takes it: the first octet has to be even)"},
		{"--ns-mac-addr ff:ff:ff:ff:ff:ff", "Invalid MAC address: ff:ff:ff:ff:ff:ff (of a group, no interface takes it: the first octet has to be even)"},
		{"--ns-mac-addr 00:00:00:00:00:00", "Invalid MAC address: 00:00:00:00:00:00 (no interface takes it; leave the option out for a random one)"},
		{"-g 0.0.0.0", "Invalid gateway address: 0.0.0.0"},
		{"-g 127.0.0.1", "Invalid gateway address: 127.0.0.1"},
		{"-g 255.255.255.255", "Invalid gateway address: 255.255.255.255"},
		{"-i nosuch0", "Invalid interface name nosuch0: No such device"},
		{"-i abcdefghijklmnop", "Invalid interface name abcdefghijklmnop: No such device"},
		{"-o ::1", "Invalid or redundant outbound address: ::1"},
		{"-o 224.0.0.1", "Invalid or redundant outbound address: 224.0.0.1"},
		{"-o 255.255.255.255", "Invalid or redundant outbound address: 255.255.255.255"},
		{"-o ::ffff:10.0.2.1", "Invalid or redundant outbound address: ::ffff:10.0.2.1"},
		{"--outbound-if4 abcdefghijklmnop", "Invalid interface name: abcdefghijklmnop (more than 15 bytes)"},
		{"--outbound-if6 ''", "Invalid interface name:  (empty)"},
		{"-I abcdefghijklmnop", "Invalid interface name: abcdefghijklmnop (more than 15 bytes)"},
		{"-I a/b", "Invalid interface name: a/b ('/' is not allowed)"},
		{"-I eth0:1", "Invalid interface name: eth0:1 (':' is not allowed)"},
		{"-I tap%d", "Invalid interface name: tap%d ('%' is not allowed)"},
		{"-I .", "Invalid interface name: . (a directory)"},
		{"-I ..", "Invalid interface name: .. (a directory)"},
		{"--no-copy-routes", "--no-copy-routes needs --config-net"},
		{"--no-copy-addrs", "--no-copy-addrs needs --config-net"},

		{"-D ''", "Cannot use DNS address "},
		{"-D foo", "Cannot use DNS address foo"},
		{"--dns-forward 127.0.0.1", "Invalid DNS forwarding address: 127.0.0.1"},
		{"--dns-forward 0.0.0.0", "Invalid DNS forwarding address: 0.0.0.0"},
		{"--dns-forward 255.255.255.255", "Invalid DNS forwarding address: 255.255.255.255"},
		{"--dns-host ::", "Invalid host nameserver address: ::"},
		{"-S ''", "Cannot use DNS search domain "},
		{"-S a..b", "Cannot use DNS search domain a..b"},
		{"-S " + long, "Cannot use DNS search domain " + long},
		{"-H " + long, "Invalid hostname: " + long},
		{"--fqdn " + long, "Invalid FQDN: " + long},
		{"--fqdn a..b", "Invalid FQDN: a..b"},
		{"--map-host-loopback 127.0.0.1", "Invalid address to remap to host: 127.0.0.1"},
		{"--map-host-loopback 0.0.0.0", "Invalid address to remap to host: 0.0.0.0"},
		{"--map-guest-addr ff02::1", "Invalid address to remap to host: ff02::1"},

		{"-t 8080 -t none", "-t none conflicts with previous options"},
		{"-t 8080,~8080", "Port specifier '8080,~8080' forwards nothing: its exclusions leave no port\nLeave one of them out, or write 'none' for no forwards"},
		{"-T auto,~1-65535", "Port specifier 'auto,~1-65535' forwards nothing: its exclusions leave no port\nLeave one of them out, or write 'none' for no forwards"},
		{"-u 53 -t 80 -u none", "-u none conflicts with previous options"},
		{"-t foo", "Invalid port specifier 'foo'"},
		{"-u ''", "Invalid port specifier ''"},
		{"-t 0", "Forwarding rule attempts to map from port 0"},
		{"-T 127.0.0.1/9000", "Listening address not allowed for -T 127.0.0.1/9000"},
		{"-U %lo/9000", "Listening address not allowed for -U %lo/9000"},
		{"-T 0-1", "Forwarding rule attempts to map from port 0"},
		{"--no-tcp -t 80", "Can't add TCP forwarding rule, TCP not enabled"},
		{"-u 53 --no-udp", "Can't add UDP forwarding rule, UDP not enabled"},
		{"-t ::1/80 -4", "IPv6 forward, but IPv6 not enabled"},
		{"-6 -t 127.0.0.1/80", "IPv4 forward, but IPv4 not enabled"},
		{
			"-t 8080 -t 127.0.0.1/8080",
			"Forwarding configuration conflict: TCP [127.0.0.1]:8080  =>  8080 versus TCP [*]:8080  =>  8080",
		},
		{"--host-lo-to-ns-lo --no-splice", "--host-lo-to-ns-lo is incompatible with --no-splice"},
		{"--no-splice --host-lo-to-ns-lo", "--host-lo-to-ns-lo is incompatible with --no-splice"},
		{"--splice-only --no-splice", "--splice-only is incompatible with --no-splice"},
		{"--no-splice --splice-only", "--splice-only is incompatible with --no-splice"},
		{"--stats 1", "Can't display statistics if not running in foreground"},
		{"--stats 1 -f", "Can't display statistics if not running in foreground"},
		{"-f --stats 0", "Invalid statistics delay: 0"},
		{"-f --stats 1s", "Invalid statistics delay: 1s"},
		{"-f --stats 99999999999", "Invalid statistics delay: 99999999999"},

		{"--netns ''", "Invalid network namespace: empty name"},
		{"--netns app 1", "Both --netns and PID or command given"},
		{"--netns app ls", "Both --netns and PID or command given"},
		{"--no-pidns 1", "--no-pidns is incompatible with PID or --netns"},
		{"--no-pidns --netns app", "--no-pidns is incompatible with PID or --netns"},
		{"0", "Invalid PID 0"},
		{"2147483648", "Invalid PID 2147483648"},
		{"-- 99999999999999999999", "Invalid PID 99999999999999999999"},

		{"-s x", "-s is for passt / vhost-user mode only"},
		{"--socket x", "-s is for passt / vhost-user mode only"},
		{"--sock x", "-s is for passt / vhost-user mode only"},
		{"--socket-path x", "-s is for passt / vhost-user mode only"},
		{"-1", "--one-off is for passt mode only"},
		{"--vhost-user", "--vhost-user is for passt mode only"},
		{"--no-dhcp-dns", "--no-dhcp-dns is for passt mode only"},
		{"--no-dhcp-search", "--no-dhcp-search is for passt mode only"},
		{"--print-capabilities", "--print-capabilities is for vhost-user mode only"},
		{"--repair-path none", "--repair-path is for vhost-user mode only"},
		{"--migrate-exit", "--migrate-exit is for vhost-user mode only"},
		{"--migrate-no-linger", "--migrate-no-linger is for vhost-user mode only"},

		{"-m 1500x --version", "Invalid MTU: 1500x"},
		{"-m 1500x --foo", "Invalid MTU: 1500x"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			got, err := Parse(words(tt.args), io.Discard)
			if err == nil || err.Error() != tt.want {
				t.Errorf("Parse = %+v, error %v, want error %q", got, err, tt.want)
			}
			var usage *getopt.UsageError
			if errors.As(err, &usage) {
				t.Errorf("error %v would print the usage text", err)
			}
		})
	}
}

func words(line string) []string {
	args := strings.Fields(line)
	for i := range args {
		if args[i] == "''" {
			args[i] = ""
		}
	}
	return args
}

func TestUsageErrors(t *testing.T) {
	tests := []struct{ args, want string }{
		{"--foo", "pasta: unrecognized option '--foo'"},
		{"--map-guest-address 1.2.3.4", "pasta: unrecognized option '--map-guest-address'"},
		{"-Z", "pasta: invalid option -- 'Z'"},
		{"-m", "pasta: option requires an argument -- 'm'"},
		{"--mtu", "pasta: option '--mtu' requires an argument"},
		{"--debug=1", "pasta: option '--debug' doesn't allow an argument"},
		{"--no-t=", "pasta: option '--no-tcp' doesn't allow an argument"},
		{"--dns-", "pasta: option '--dns-' is ambiguous; possibilities: '--dns-forward' '--dns-host'"},
		{"--foo --version", "pasta: unrecognized option '--foo'"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			_, err := Parse(words(tt.args), io.Discard)
			var usage *getopt.UsageError
			if !errors.As(err, &usage) || err.Error() != tt.want {
				t.Errorf("Parse = %v, want the usage error %q", err, tt.want)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	const notSingle = ": not the address of a single interface, bridges in the namespace drop what comes from it"
	tests := []struct {
		args string
		want []string
	}{
		{"", nil},
		{"--stderr", []string{"--stderr will be dropped soon"}},
		{
			"-q --config-net --no-copy-routes --no-copy-addrs",
			[]string{"--no-copy-routes will be dropped soon", "--no-copy-addrs will be dropped soon"},
		},
		{"-M 02:00:00:00:00:01", nil},
		{"-M 01:00:5e:00:00:01", []string{"--mac-addr 01:00:5e:00:00:01" + notSingle}},
		{"-M ff:ff:ff:ff:ff:ff", []string{"--mac-addr ff:ff:ff:ff:ff:ff" + notSingle}},
		{"-M 00:00:00:00:00:00", []string{"--mac-addr 00:00:00:00:00:00" + notSingle}},
		{"-a fd00::2/64 -a fd00::2 -a 10.0.2.100/24", nil},
		{"-a fd00::2/80", []string{"--address fd00::2/80: the length has no effect, it is 64 for IPv6"}},
		{
			"-D 1.1.1.1 -D 1.1.1.2 -D 1.1.1.3 -D fd00::1 -D 1.1.1.4",
			[]string{"--dns 1.1.1.4: no effect, 3 resolvers of a family are the most"},
		},
		{"-S a -S b -S c -S d -S e -S f", nil},
		{"-S a -S b -S c -S d -S e -S f -S g", []string{"--search g: no effect, 6 domains are the most"}},
		{"--log-size 65536 -l /tmp/log", nil},
		{"--log-size 65536", []string{"--log-size: no effect without --log-file"}},
		{"--no-netns-quit 4711", nil},
		{"--no-netns-quit ls", []string{"--no-netns-quit: no effect with a command, whose end is that of pasta"}},
		{
			"--splice-only --config-net --dns-forward 169.254.1.1 -T none -U none --no-map-gw --quiet --netns x --map-guest-addr 169.254.1.2",
			nil,
		},
		{
			"--splice-only -I tap0 -m 1500 -p x --address 10.0.2.1",
			[]string{"--mtu, --ns-ifname, --address, --pcap: no effect, with --splice-only there is no interface in the namespace"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			var stderr strings.Builder
			if _, err := Parse(words(tt.args), &stderr); err != nil {
				t.Fatal(err)
			}
			got := strings.Split(strings.TrimSuffix(stderr.String(), "\n"), "\n")
			if stderr.Len() == 0 {
				got = nil
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("warnings = %q, want %q", got, tt.want)
			}
		})
	}
}

// TestBadIfName: names that the table of command lines cannot have, and good ones.
func TestBadIfName(t *testing.T) {
	tests := []struct{ name, want string }{
		{"tap 0", "' ' is not allowed"},
		{"tap\n", `'\n' is not allowed`},
		{"tap\xa0", `'\u00a0' is not allowed`}, // a blank of Latin-1, which the kernel knows
		{"...", ""},
		{"tap-0.1@x", ""},
		{"tap\xff", ""},
	}
	for _, tt := range tests {
		if got := badIfName(tt.name); got != tt.want {
			t.Errorf("badIfName(%q): got %q, want %q", tt.name, got, tt.want)
		}
	}
}
