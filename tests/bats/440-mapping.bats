# shellcheck shell=bash
# Addresses with a meaning of their own: the gateway as the host's loopback, the
# host's own address, resolvers.

load helpers

setup_file() {
	network_start
	serve in_host 127.0.0.1:7001 "[::1]:7001"
	serve in_host "$HOST4:7002" "[$HOST6]:7002"
	serve in_peer "$GATEWAY4:7001" "[$GATEWAY6]:7001"
	resolver in_peer "$GATEWAY4:53" 192.0.2.1
	resolver in_peer "$PEER4:53" 192.0.2.2
}

teardown_file() { network_stop; }

teardown() { guest_stop; }

# resolver WHERE ADDR IP: a DNS server that answers every question with IP.
resolver() {
	local where=$1 out
	shift
	out=$(mktemp "$TOPO_DIR/dns.XXXXXX")
	background "$where" "$NETTOOL" dns-serve "$@" >"$out"
	wait_for 5 grep -q ready "$out"
}

# seen_by ADDR [flags]: the address that the server at ADDR sees, without port.
seen_by() {
	local seen addr=$1
	shift
	seen=$(in_guest "$NETTOOL" peer "$@" "$addr") || return
	echo "${seen%:*}"
}

unreachable() { [ "$(in_guest "$NETTOOL" connect -timeout 5s "$1")" != ok ]; }

ask() { in_guest dig +short +time=2 +tries=1 "$@" name.example; }

@test "the gateway is the host's loopback" {
	guest_start "$WAY"
	expect 127.0.0.1 seen_by "$GATEWAY4:7001"
	expect "[::1]" seen_by "[$GATEWAY6]:7001"
	expect 127.0.0.1 seen_by "$GATEWAY4:7001" -udp
	expect "[::1]" seen_by "[$GATEWAY6]:7001" -udp
	in_guest ping -c 1 -W 2 "$GATEWAY4"
	in_guest ping -c 1 -W 2 "$GATEWAY6"
}

@test "--no-map-gw: the gateway is the gateway" {
	guest_start "$WAY" --no-map-gw
	expect "$HOST4" seen_by "$GATEWAY4:7001"
	expect "[$HOST6]" seen_by "[$GATEWAY6]:7001"
	expect "$HOST4" seen_by "$GATEWAY4:7001" -udp
	in_guest ping -c 1 -W 2 "$GATEWAY4"
}

@test "--map-host-loopback: another address is the host's loopback" {
	guest_start "$WAY" --map-host-loopback 10.66.0.200 --map-host-loopback fd66::200
	expect 127.0.0.1 seen_by 10.66.0.200:7001
	expect "[::1]" seen_by "[fd66::200]:7001"
	expect "$HOST4" seen_by "$GATEWAY4:7001"
	expect "[$HOST6]" seen_by "[$GATEWAY6]:7001"
}

@test "--map-host-loopback none: nothing is" {
	guest_start "$WAY" --map-host-loopback none
	expect "$HOST4" seen_by "$GATEWAY4:7001"
	expect "[$HOST6]" seen_by "[$GATEWAY6]:7001"
}

@test "--map-guest-addr: an address for the host's own" {
	guest_start "$WAY" --map-guest-addr 169.254.1.2 --map-guest-addr fd66::201
	expect "$HOST4" seen_by 169.254.1.2:7002
	expect "[$HOST6]" seen_by "[fd66::201]:7002"
	expect "$HOST4" seen_by 169.254.1.2:7002 -udp
	unreachable "$HOST4:7002" # the guest itself, where nobody listens
}

@test "an address of the guest's own leaves the host's reachable" {
	guest_start "$WAY" -a 10.9.9.9 -n 24 -g 10.9.9.1
	expect "$HOST4" seen_by "$HOST4:7002"
	expect 127.0.0.1 seen_by 10.9.9.1:7001
}

@test "a resolver that is the gateway answers there, other ports are loopback" {
	guest_start "$WAY"
	expect 192.0.2.1 ask "@$GATEWAY4"
	expect 192.0.2.1 ask +tcp "@$GATEWAY4"
	expect 127.0.0.1 seen_by "$GATEWAY4:7001"
}

@test "--dns-forward: queries to that address go to the host's resolver" {
	guest_start "$WAY" --dns-forward 169.254.1.1
	expect 192.0.2.1 ask @169.254.1.1
	expect 192.0.2.1 ask +tcp @169.254.1.1
	unreachable "$GATEWAY4:53" # loopback again, where nobody listens
}

@test "--dns-host: queries go to that resolver" {
	guest_start "$WAY" --dns-forward 169.254.1.1 --dns-host "$PEER4"
	expect 192.0.2.2 ask @169.254.1.1
	expect 192.0.2.2 ask +tcp @169.254.1.1
}

@test "--dns-forward: IPv6 address to IPv6 resolver" {
	resolver in_peer "[$PEER6]:53" fd00::2
	guest_start "$WAY" --dns-forward fd66::53 --dns-host "$PEER6"
	expect fd00::2 ask @fd66::53 AAAA
}

@test "a host's client reaches a forwarded port from the gateway's address" {
	guest_start "$WAY" -t 7003 -u 7003
	serve in_guest "$HOST4:7003" "[$HOST6]:7003"
	expect "$GATEWAY4:40003" in_host "$NETTOOL" peer -source "$HOST4:40003" "$HOST4:7003"
	expect "$GATEWAY4:40003" in_host "$NETTOOL" peer -udp -source "$HOST4:40003" "$HOST4:7003"
}

@test "-t maps ports and ranges" {
	guest_start "$WAY" -t 7010:7011,7020-7022 -u 7010:7011,7020-7022
	serve in_guest "$HOST4:7011" "[$HOST6]:7011"
	serve in_guest "$HOST4:7021"
	in_peer "$NETTOOL" up -size 1 "$HOST4:7010"
	in_peer "$NETTOOL" up -size 1 "[$HOST6]:7010"
	in_peer "$NETTOOL" udp-echo -size 9 "$HOST4:7010"
	in_peer "$NETTOOL" up -size 1 "$HOST4:7021"
}

@test "--pcap: tcpdump reads what passed the tap" {
	local capture="$TOPO_DIR/capture.pcap"
	guest_start "$WAY" --pcap "$capture"
	client out IPv4 up -size 100000
	client out IPv6 udp-echo -size 100
	in_guest ping -c 1 -W 2 "$PEER4"
	kill_and_wait TERM "$PASTA_PID"
	expect 600 stat -c %a "$capture"
	tcpdump -nr "$capture" "tcp and dst host $PEER4 and tcp[tcpflags] & tcp-syn != 0" | grep "Flags \[S\]"
	tcpdump -nr "$capture" "udp and dst host $PEER6" | grep UDP
	tcpdump -nr "$capture" icmp | grep "echo reply"
}
