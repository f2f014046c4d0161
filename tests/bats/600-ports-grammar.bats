# shellcheck shell=bash
# Every form of a port specification, with its rules in the summary and with the
# sockets that are open for them; every error, with its text and status 1.

load helpers
load lib/process

setup_file() { network_start; }

teardown_file() { network_stop; }

setup() {
	process_setup
	new_target
}

teardown() {
	process_teardown
	# shellcheck disable=SC2046 # two numbers
	ephemeral $(cat /proc/sys/net/ipv4/ip_local_port_range)
}

# ephemeral FIRST LAST: the range of ephemeral ports of the test's host.
ephemeral() { in_host sh -c "echo $1 $2 >/proc/sys/net/ipv4/ip_local_port_range"; }

# ranges are the host's ports outside its ephemeral range, as in rules.
low=$(awk '{ print "1-" $1 - 1 }' /proc/sys/net/ipv4/ip_local_port_range)
high=$(awk '{ print $2 + 1 "-65535" }' /proc/sys/net/ipv4/ip_local_port_range)

# forwards ARGS...: attach with these options; forwards of other options are none.
forwards() {
	local option
	for option in -t -u -T -U; do
		[[ " $* " == *" $option "* ]] || set -- "$option" none "$@"
	done
	attach "$@" "$TARGET"
}

# rules LINE... -- ARGS...: the summary lists exactly these rules on the host (or, of
# -T and -U, in the namespace), attributes end without blank; and the ports of those
# that are neither best effort nor followed are open, no others.
rules() {
	local want=()
	while [ "$1" != -- ]; do
		want+=("$1")
		shift
	done
	shift
	forwards "$@"
	expect "$(printf '%s\n' "${want[@]}")" listed
	case " $* ${want[*]-}" in
	*"(best effort)"* | *"(auto-scan)"*) ;;
	*" -T "* | *" -U "*) sockets in_guest "${want[@]}" ;;
	*) sockets in_host "${want[@]}" ;;
	esac
	kill_and_wait TERM "$DAEMON"
}

# sockets WHERE LINE...: exactly the ports of these rules are open there.
sockets() {
	local where=$1 proto
	shift
	for proto in TCP UDP; do
		expect "$(printf '%s\n' "$@" | ports_of "$proto")" opened "$(echo "$proto" | tr TCUDP tcudp)" "$where"
	done
}

# ports_of PROTO: the ports of the rules on the input, as ss writes them, sorted.
ports_of() {
	awk -v proto="$1" '
		$1 == proto {
			split(substr($2, 2), part, "]")
			address = index(part[1], ":") ? "[" part[1] "]" : part[1]
			n = split(part[2], port, ":")
			split(port[n], range, "-")
			last = range[2] ? range[2] : range[1]
			for (p = range[1]; p <= last; p++) print address port[1] ":" p
		}' | sort
}

listed() { sed -n 's/^    \([TU][CD]P \[.*[^ ]\) *$/\1/p' "$OUT"; }

# refused TEXT ARGS...: exit 1 with this text alone.
refused() {
	local text=$1
	shift
	run pasta -q "$@" "$TARGET"
	echo "status $status, output: $output"
	[ "$status" -eq 1 ] && [ "$output" = "$text" ]
}

# opened PROTO [WHERE]: addresses and ports open on the host, sorted.
opened() { "${2-in_host}" ss -Hln "--$1" | awk '{ print $4 }' | sort; }

@test "none, and explicit ports" {
	rules -- -t none
	rules "TCP [*]:8080  =>  8080" -- -t 8080
	rules "TCP [*]:8080  =>  8080" -- -t 08080
	rules "TCP [*]:8080  =>  8080" -- -t /8080
	rules "TCP [*]:8080  =>  80" -- -t 8080:80
	rules "TCP [*]:8080  =>  8080" "TCP [*]:8081  =>  8081" -- -t 8080,8081
	rules "TCP [*]:8080-8090  =>  8080-8090" -- -t 8080-8090
	rules "TCP [*]:8080-8090  =>  9080-9090" -- -t 8080-8090:9080-9090
	rules "TCP [*]:32768  =>  32768" "TCP [*]:40000-40010  =>  40000-40010" -- -t 32768 -t 40000-40010
	rules "UDP [*]:5353  =>  53" -- -u 5353:53
}

@test "the sockets are those of the rules" {
	forwards -t 8080-8082:80-82 -t 10.66.0.2/9000 -u "%up0/5300:53"
	expect "*:8080
*:8081
*:8082
10.66.0.2:9000" opened tcp
	expect "*%up0:5300" opened udp
}

@test "traffic goes to the ports of the rules" {
	forwards -t 8080-8082:9080-9082 -t 8090 -t 0.0.0.0/8095:10.66.0.7/9095 -u 8080:9080 -u 8090
	in_guest ip address add 10.66.0.7/32 dev lo
	serve in_guest "$HOST4:9081" "$HOST4:8090" "[$HOST6]:8090" 10.66.0.7:9095 "$HOST4:9080"
	note_started "$BG_PID"
	for port in 8080 8081 8090; do
		expect ok in_peer "$NETTOOL" connect "$HOST4:$port"
		in_peer "$NETTOOL" up -size 10 "$HOST4:$port"
	done
	in_peer "$NETTOOL" up -size 10 "[$HOST6]:8090"
	closed in_peer "$HOST4:8082" # forwarded, but to nobody
	expect ECONNREFUSED in_peer "$NETTOOL" connect "$HOST4:9081"
	in_peer "$NETTOOL" udp-echo -count 3 "$HOST4:8080"
	in_peer "$NETTOOL" udp-echo -count 3 "$HOST4:8090"
	in_peer "$NETTOOL" up -size 10 "$HOST4:8095" # last: the guest is at that address then
}

@test "addresses and interfaces" {
	local spec
	for spec in "$HOST4/8080" "[$HOST4]/8080"; do
		rules "TCP [$HOST4]:8080  =>  8080" -- -t "$spec"
	done
	for spec in "$HOST6/8080" "[$HOST6]/8080"; do
		rules "TCP [$HOST6]:8080  =>  8080" -- -t "$spec"
	done
	rules "TCP [$HOST4]%up0:8080  =>  8080" -- -t "$HOST4%up0/8080"
	rules "TCP [*]%up0:8080  =>  8080" -- -t %up0/8080
	rules "TCP [$HOST4]:8080  =>  8080" "TCP [127.0.0.1]:8080  =>  8080" -- -t "$HOST4/8080" -t 127.0.0.1/8080
	rules "TCP [0.0.0.0]:8080  =>  8080" "TCP [::]:8080  =>  8080" -- -t 0.0.0.0/8080 -t ::/8080
	rules "TCP [0.0.0.0]:8080  =>  8080" -- -4 -t 8080
	rules "TCP [::]:8080  =>  8080" -- -6 -t 8080
}

@test "exclusions" {
	rules "TCP [*]:2000-2999  =>  2000-2999" "TCP [*]:3011-5000  =>  3011-5000" -- -t 2000-5000,~3000-3010
	rules "TCP [$HOST4]:8020-8024  =>  8020-8024" "TCP [$HOST4]:8026-8030  =>  8026-8030" -- -t "$HOST4/8020-8030,~8025"
	rules "TCP [*]:8020-8021  =>  8020-8021" "TCP [*]:8023-8030  =>  8023-8030" -- -t 8020-8030,~8022,~8022
	rules "TCP [*]:8010-8019  =>  8010-8019" "TCP [*]:8031-8040  =>  8031-8040" -- -t 8010-8040,~8020-8030,~8025
}

@test "auto" {
	local both=("TCP [*]:$low  =>  $low (best effort) (auto-scan)" "TCP [*]:$high  =>  $high (best effort) (auto-scan)")
	rules "${both[@]}" -- -t auto
	rules "${both[@]}" -- -t all,auto
	rules "TCP [*]:1-21  =>  1-21 (best effort) (auto-scan)" \
		"TCP [*]:23-${low#*-}  =>  23-${low#*-} (best effort) (auto-scan)" "${both[1]}" -- -t auto,~22
	rules "TCP [*]:8000-8010  =>  8000-8010 (auto-scan)" -- -t 8000-8010,auto
	rules "TCP [::1]:$low  =>  $low (best effort) (auto-scan)" \
		"TCP [::1]:$high  =>  $high (best effort) (auto-scan)" -- -t ::1/auto
}

@test "auto is the default" {
	attach "$TARGET"
	expect "TCP [*]:$low  =>  $low (best effort) (auto-scan)" sh -c "grep -m 1 -o 'TCP.*' $OUT"
	expect 4 grep -c '^    TCP ' "$OUT" # inbound and outbound, two ranges each
}

# With the usual range of ephemeral ports, all of the others are more than many limits
# on open files allow.
@test "all" {
	ephemeral 9000 65535
	rules "TCP [*]:1-8999  =>  1-8999 (best effort)" -- -t all
	rules "TCP [*]:1-1999  =>  1-1999 (best effort)" "TCP [*]:2011-8999  =>  2011-8999 (best effort)" -- -t ~2000-2010
	rules "TCP [127.0.0.6]:1-8999  =>  192.0.2.6:1-8999 (best effort)" -- -t 127.0.0.6/all:192.0.2.6
}

@test "beyond the limit, the error names limit, need and way out" {
	(
		ulimit -n 5000
		run pasta -q -t all "$TARGET"
		echo "status $status, output: $output"
		[ "$status" -eq 1 ]
		[[ "$output" =~ ^"Forwarding rules need "([0-9]+)" open files, but the limit is 5000 (hard limit 5000)" ]]
		[ "${BASH_REMATCH[1]}" -gt 30000 ]
		[[ "$output" == *"Raise the hard limit (ulimit -Hn ${BASH_REMATCH[1]}, "*"), or forward fewer ports" ]]
	)
}

@test "a part of all is best effort: low ports are left out" {
	local all=("~61000-65535,~2000-32767")
	rules "TCP [*]:1-1999  =>  1-1999 (best effort)" -- -t "${all[0]}"
	forwards -t "${all[0]}"
	opened tcp | grep -qx '\*:1999'
}

@test "target addresses" {
	rules "TCP [0.0.0.0]:5000  =>  192.0.2.5:6000" -- -t 0.0.0.0/5000:192.0.2.5/6000
	rules "TCP [0.0.0.0]:5000  =>  192.0.2.5:5000" -- -4 -t 5000:192.0.2.5
	rules "TCP [*]:8080  =>  80" -- -t 8080:0.0.0.0/80
	rules "TCP [0.0.0.0]:5000-5002  =>  192.0.2.5:6000-6002" -- -t 0.0.0.0/5000-5002:192.0.2.5/6000-6002
	rules "TCP [5000:fd00::5]:6000  =>  6000" -- --freebind -t 5000:fd00::5/6000 # not a target
	rules "TCP [::1]:5000  =>  fd00::5:6000" -- -t "::1/5000:[fd00::5]/6000"
	refused "Dual stack forward to IPv4 address 192.0.2.5 unsupported
Listen on one family, by an address before the ports (0.0.0.0/...) or with --ipv4-only
Unable to add rule TCP [*]:5000  =>  192.0.2.5:5000" -t 5000:192.0.2.5
	refused "Forward from IPv4 (0.0.0.0) to IPv6 (fd00::1) unsupported
Unable to add rule TCP [0.0.0.0]:5000  =>  fd00::1:6000" -t 0.0.0.0/5000:fd00::1/6000
	refused "Forward from IPv6 (::1) to IPv4 (192.0.2.1) unsupported
Unable to add rule TCP [::1]:5000  =>  192.0.2.1:5000" -t ::1/5000:192.0.2.1
	refused "Forward to multicast address 224.0.0.1 unsupported
Unable to add rule TCP [0.0.0.0]:5000  =>  224.0.0.1:5000" -t 0.0.0.0/5000:224.0.0.1
}

@test "the namespace's side" {
	rules "TCP [*]%lo:9000  =>  9001" -- -T 9000:9001
	in_guest ss -Hltn | grep -q '%lo:' && return 1 # it ended with the run
	refused "Listening address not allowed for -T 127.0.0.1/9000" -T 127.0.0.1/9000
	refused "Listening address not allowed for -T %lo/9000" -T %lo/9000
}

@test "ports and addresses that cannot be had" {
	refused "Listen failed for HOST TCP port *%nonexist/8080: No such device" -t %nonexist/8080
	refused "Listen failed for HOST TCP port */80: Permission denied" -t 80
	refused "Listen failed for HOST TCP port 1.2.3.4/8080: Cannot assign requested address" -t 1.2.3.4/8080
	rules "TCP [1.2.3.4]:8080  =>  8080" -- --freebind -t 1.2.3.4/8080
	serve in_host "$HOST4:8085"
	refused "Listen failed for HOST TCP port */8085: Address already in use" -t 8080-8090
	expect "$HOST4:8085" opened tcp
	kill_and_wait KILL "$BG_PID"
}

@test "conflicts" {
	local one="TCP [*]:8080  =>  8080"
	refused "Forwarding configuration conflict: $one versus $one" -t 8080,8080
	refused "Forwarding configuration conflict: TCP [*]:8085  =>  8085 versus TCP [*]:8080-8090  =>  8080-8090" -t 8080-8090,8085
	refused "Forwarding configuration conflict: $one versus TCP [0.0.0.0]:8080  =>  8080" -t 0.0.0.0/8080 -t 8080
	refused "-t none conflicts with previous options" -t 8080 -t none
	rules "$one" -- -t none -t 8080
	rules -- -t none -t none
}

@test "families that are off" {
	refused "IPv6 forward, but IPv6 not enabled" -4 -t ::1/80
	refused "IPv4 forward, but IPv4 not enabled" -6 -t 127.0.0.1/80
}

@test "invalid specifications" {
	local spec
	for spec in 8080-8090:9080 8080-8090:9080-9091 %/8080 "$HOST4%/8080" auto:192.0.2.6 65536 8080-8070 '8080,' ,8080 80- -80 \
		8080x foo 8080: 8080:foo none,8080 tcp/8080 localhost/8080 8080/8081 +8080 " 8080"; do
		refused "Invalid port specifier '$spec'" "--tcp-ports=$spec"
	done
	refused "Invalid port specifier ''" "--tcp-ports=$HOST4/"
	refused "Invalid port specifier ''" -t ''
	refused "Port specifier '8080,~8080' forwards nothing: its exclusions leave no port
Leave one of them out, or write 'none' for no forwards" -t 8080,~8080
	refused "Forwarding rule attempts to map from port 0" -t 0
}

@test "255 rules, not more" {
	local list
	list=$(seq -s , 2001 2255)
	forwards -t "$list"
	expect 255 sh -c "grep -c '^    TCP' $OUT"
	kill_and_wait TERM "$DAEMON"
	refused "Too many rules (maximum 255)" -t "$list,2256"
}

@test "15,000 ports open fast" {
	local begun took best=3000
	for _ in 1 2 3; do
		begun=$(date +%s%N)
		forwards -t 10000-24999
		took=$((($(date +%s%N) - begun) / 1000000))
		echo "took $took ms"
		best=$((took < best ? took : best))
		expect 15000 sh -c "echo $(opened tcp | wc -l)"
		kill_and_wait TERM "$DAEMON"
	done
	[ "$best" -lt 1000 ] # with the start of everything else; measured: 0.4 s
}
