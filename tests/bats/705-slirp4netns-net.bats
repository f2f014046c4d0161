# shellcheck shell=bash
# The network of slirp4netns as seen from the namespace.

load helpers
load lib/slirp

setup_file() {
	network_start
	serve in_host 127.0.0.1:7001 "[::1]:7001"
	serve in_host "$HOST4:7002" "[$HOST6]:7002"
	resolver in_peer "$GATEWAY4:53" 192.0.2.1
	resolver in_peer "[$GATEWAY6]:53" 192.0.2.6
	resolver in_host 127.0.0.1:53 192.0.2.3
}

teardown_file() { network_stop; }

setup() {
	slirp_setup
	nameservers "$GATEWAY4" "$GATEWAY6"
}

teardown() { slirp_teardown; }

# nameservers ADDR...: the host's resolv.conf.
nameservers() { printf 'nameserver %s\n' "$@" >"$TOPO_DIR/resolv.conf"; }

# seen_by ADDR [flags]: the address that the server at ADDR sees, without port.
seen_by() {
	local seen addr=$1
	shift
	seen=$(in_guest "$NETTOOL" peer "$@" "$addr") || return
	echo "${seen%:*}"
}

connect() { in_guest "$NETTOOL" connect -timeout 4s "$@"; }

ask() { in_guest dig +short +time=2 +tries=1 "$@" name.example; }

slaac() { in_guest ip -6 address show dev tap0 scope global | grep -q fd00::; }

# transfers: bytes both ways over TCP and UDP, IPv4 and IPv6.
transfers() {
	local addr
	for addr in "$PEER4:$OUT_PORT" "[$PEER6]:$OUT_PORT"; do
		in_guest "$NETTOOL" up -size 20000000 "$addr"
		in_guest "$NETTOOL" down -size 20000000 "$addr"
		in_guest "$NETTOOL" udp-echo -count 100 -size 1000 "$addr"
		in_guest "$NETTOOL" udp-echo -count 5 -size 9000 "$addr"
		in_guest "$NETTOOL" half-close "$addr"
	done
}

@test "TCP and UDP, MTU 1500" {
	slirp_start -6
	wait_for 5 slaac
	transfers
}

@test "TCP and UDP, MTU 65520" {
	slirp_start -6 --mtu=65520
	wait_for 5 slaac
	in_guest ip link show tap0 | grep -q 'mtu 65520'
	transfers
}

@test "TCP and UDP, MTU 65521, sandbox and filter" {
	slirp_start -6 -m 65521 --enable-sandbox --enable-seccomp
	wait_for 5 slaac
	transfers
}

@test "ping: our own addresses, no others on the link, and those outside" {
	slirp_start -6 --disable-host-loopback
	wait_for 5 slaac
	for addr in 10.0.2.2 10.0.2.3 10.0.2.100 fd00::2 fd00::3 fe80::2%tap0 "$PEER4" "$PEER6"; do
		in_guest ping -c 1 -W 2 "$addr"
	done
	run in_guest ping -c 1 -W 5 10.0.2.50
	[[ "$output" == *"Destination Host Unreachable"* ]]
	in_guest ip neigh show 10.0.2.2 | grep -q 'lladdr 52:55:0a:00:02:02'
	in_guest ip neigh show 10.0.2.3 | grep -q 'lladdr 52:55:0a:00:02:03'
}

@test "the gateway is the host's loopback" {
	slirp_start -6
	wait_for 5 slaac
	expect 127.0.0.1 seen_by 10.0.2.2:7001
	expect 127.0.0.1 seen_by 10.0.2.2:7001 -udp
	expect "[::1]" seen_by "[fd00::2]:7001"
	expect "[::1]" seen_by "[fd00::2]:7001" -udp
	expect "$HOST4" seen_by "$HOST4:7002"
	expect ECONNREFUSED connect 10.0.2.2:7999
	expect ECONNREFUSED connect -udp 10.0.2.2:7999
}

@test "--disable-host-loopback: it is unreachable, the host's address is not" {
	slirp_start -6 --disable-host-loopback
	wait_for 5 slaac
	expect ENETUNREACH connect 10.0.2.2:7001
	expect ENETUNREACH connect "[fd00::2]:7001"
	run in_guest nc -v -w 5 10.0.2.2 7001
	[[ "$output" == *"Network is unreachable"* ]]
	expect "$HOST4" seen_by "$HOST4:7002"
	expect "[$HOST6]" seen_by "[$HOST6]:7002"
}

@test "failures of the host are told" {
	slirp_start
	expect ECONNREFUSED connect "$PEER4:7999"
	expect EHOSTUNREACH connect 10.99.0.1:80
	in_host ip route add prohibit 10.97.0.0/24
	expect ENETUNREACH connect 10.97.0.1:80
	in_host ip route del prohibit 10.97.0.0/24
}

@test "DNS: the host's first resolver, over UDP and TCP, any port" {
	slirp_start -6
	wait_for 5 slaac
	expect 192.0.2.1 ask @10.0.2.3
	expect 192.0.2.1 ask +tcp @10.0.2.3
	expect 192.0.2.6 ask @fd00::3
	serve in_peer "$GATEWAY4:7053"
	expect ok connect 10.0.2.3:7053
	expect ECONNREFUSED connect 10.0.2.3:7054
}

@test "--disable-host-loopback: of a resolver on the loopback, only DNS is in reach" {
	nameservers 127.0.0.1
	slirp_start --disable-host-loopback
	expect 192.0.2.3 ask @10.0.2.3
	expect ENETUNREACH connect 10.0.2.3:7001
	run in_guest "$NETTOOL" peer -udp 10.0.2.3:7001
	[[ "$status" -ne 0 ]]
	slirp_teardown
	slirp_start
	expect 127.0.0.1 seen_by 10.0.2.3:7001
}

@test "DNS: a changed resolv.conf counts, also in the sandbox" {
	slirp_start --enable-sandbox --disable-host-loopback
	expect 192.0.2.1 ask @10.0.2.3
	nameservers 127.0.0.1 # in reach by .3 even so
	wait_for 5 expect 192.0.2.3 ask @10.0.2.3
	nameservers "$GATEWAY4"
	wait_for 5 expect 192.0.2.1 ask @10.0.2.3
}

@test "--disable-dns: silence" {
	slirp_start --disable-dns
	expect ETIMEDOUT connect 10.0.2.3:53
	in_guest ping -c 1 -W 2 10.0.2.3
}

@test "--outbound-addr: an address and an interface, also towards the loopback" {
	in_host ip address add 10.66.0.77/24 dev up0
	slirp_start --outbound-addr=10.66.0.77
	expect 10.66.0.77 seen_by "$PEER4:$OUT_PORT"
	expect 10.66.0.77 seen_by "$PEER4:$OUT_PORT" -udp
	expect 10.66.0.77 seen_by 10.0.2.2:7001
	slirp_teardown
	in_host ip address del 10.66.0.77/24 dev up0
	slirp_start -6 --outbound-addr=up0 --outbound-addr6=up0
	wait_for 5 slaac
	expect "$HOST4" seen_by 10.0.2.2:7001
	expect "[$HOST6]" seen_by "[fd00::2]:7001"
}

@test "--cidr: everything moves along" {
	slirp_start --cidr=10.9.128.0/25
	expect 127.0.0.1 seen_by 10.9.128.2:7001
	expect 192.0.2.1 ask @10.9.128.3
	in_guest ip -4 address show dev tap0 | grep -q 'inet 10.9.128.100/25 '
	in_guest ping -c 1 -W 2 10.9.128.2
	in_guest ip neigh show 10.9.128.2 | grep -q 'lladdr 52:55:0a:09:80:02'
}

@test "DHCP: an address of the pool, with gateway and resolver" {
	guest_namespace
	slirp_serve "$GUEST_PID" tap0
	in_guest ip link set tap0 up
	# shellcheck disable=SC2016 # for the script
	printf '#!/bin/sh\n[ "$1" = bound ] && env >%s/lease || true\n' "$TOPO_DIR" >"$TOPO_DIR/hook"
	chmod 755 "$TOPO_DIR/hook"
	in_guest udhcpc -i tap0 -n -q -f -t 5 -T 1 -s "$TOPO_DIR/hook"
	cat "$TOPO_DIR/lease"
	for line in ip=10.0.2.15 subnet=255.255.255.0 router=10.0.2.2 dns=10.0.2.3 lease=86400 serverid=10.0.2.2; do
		grep -qx "$line" "$TOPO_DIR/lease"
	done
}

@test "IPv6: router advertisement with lifetimes and MTU" {
	guest_namespace
	slirp_serve -6 -m 4000 "$GUEST_PID" tap0
	in_guest sh -c 'echo 0 >/proc/sys/net/ipv6/conf/tap0/accept_dad'
	in_guest ip link set tap0 up
	run in_guest rdisc6 -1 -w 5000 tap0
	echo "$output"
	for text in "fd00::/64" "MTU *: *4000" "Valid time *: *86400" "Pref. time *: *14400" "Router lifetime *: *1800" "from fe80::2"; do
		grep -Eq "$text" <<<"$output"
	done
}
