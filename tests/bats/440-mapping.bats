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

@test "-t with an address listens there only" {
	guest_start "$WAY" -t "$HOST4/7030" -t "[$HOST6]/7031:7030"
	serve in_guest "$HOST4:7030" "[$HOST6]:7030"
	in_peer "$NETTOOL" up -size 1 "$HOST4:7030"
	in_peer "$NETTOOL" up -size 1 "[$HOST6]:7031"
	expect ECONNREFUSED in_peer "$NETTOOL" connect "[$HOST6]:7030"
	expect ECONNREFUSED in_peer "$NETTOOL" connect "$HOST4:7031"
}

@test "-o: flows leave from that address, loopback ones do not" {
	in_host ip address add 10.66.0.3/24 dev up0
	in_host ip address add fd66::3/64 dev up0 nodad
	guest_start "$WAY" -o 10.66.0.3 -o fd66::3
	expect 10.66.0.3 seen_by "$PEER4:$OUT_PORT"
	expect 10.66.0.3 seen_by "$PEER4:$OUT_PORT" -udp
	expect "[fd66::3]" seen_by "[$PEER6]:$OUT_PORT"
	expect 127.0.0.1 seen_by "$GATEWAY4:7001"
	in_host ip address del 10.66.0.3/24 dev up0
	in_host ip address del fd66::3/64 dev up0
}

@test "--outbound-if4, --outbound-if6: flows leave by that interface" {
	guest_start "$WAY" --outbound-if4 up0 --outbound-if6 up0
	expect "$HOST4" seen_by "$PEER4:$OUT_PORT"
	expect "[$HOST6]" seen_by "[$PEER6]:$OUT_PORT" -udp
}

@test "--no-tcp, --no-udp, --no-icmp: that protocol is dropped, others work" {
	guest_start "$WAY" --no-tcp
	expect ETIMEDOUT in_guest "$NETTOOL" connect "$PEER4:$OUT_PORT"
	client out IPv4 udp-echo -size 100
	guest_stop
	guest_start "$WAY" --no-udp
	expect silence in_guest "$NETTOOL" connect -udp "$PEER4:$OUT_PORT"
	client out IPv6 up -size 100
	guest_stop
	guest_start "$WAY" --no-icmp -4
	run in_guest ping -c 1 -W 1 "$PEER4"
	[ "$status" -eq 1 ]
	client out IPv4 up -size 100
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
