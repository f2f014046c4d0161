# shellcheck shell=bash
# TCP through the tap: integrity, closing, errors, slow peers, many connections.

load helpers

setup_file() {
	network_start
	guest_with_server
	guest_save
}

teardown_file() { network_stop; }

setup() { guest_load; }

# Both directions of data on connections opened in each direction.

transfer_as_named() {
	client_as_named up -size "$1"
	client_as_named down -size "$1"
}

@test "TCP out IPv4, 1 byte" { transfer_as_named 1; }
@test "TCP out IPv6, 1 byte" { transfer_as_named 1; }
@test "TCP in IPv4, 1 byte" { transfer_as_named 1; }
@test "TCP in IPv6, 1 byte" { transfer_as_named 1; }
@test "TCP out IPv4, 100 MB" { transfer_as_named "$LARGE"; }
@test "TCP out IPv6, 100 MB" { transfer_as_named "$LARGE"; }
@test "TCP in IPv4, 100 MB" { transfer_as_named "$LARGE"; }
@test "TCP in IPv6, 100 MB" { transfer_as_named "$LARGE"; }
@test "TCP out IPv4, nothing" { transfer_as_named 0; }
@test "TCP in IPv6, nothing" { transfer_as_named 0; }

@test "guest does not retransmit on a loss-free path" {
	client out IPv4 up -size "$LARGE"
	client out IPv6 up -size "$LARGE"
	in_guest nstat -asz TcpRetransSegs | tee /dev/stderr | grep -Eq '^TcpRetransSegs +0 '
}

# What the peer reads must not depend on the guest's congestion control: losses
# that cubic hardly feels stall BBR for seconds.

congestion_as_named() {
	local cc
	cc=$(named cubic reno bbr)
	in_guest sh -c "echo $cc >/proc/sys/net/ipv4/tcp_congestion_control" ||
		unable "$cc is not there or not allowed for ordinary users; as root: make setup"
	client out IPv4 up -size "$LARGE" -timeout 10s
	client in IPv6 down -size "$LARGE" -timeout 10s
	in_guest sh -c "echo $TOPO_CC >/proc/sys/net/ipv4/tcp_congestion_control" || true
}

@test "reno in the guest does not stall" { congestion_as_named; }
@test "bbr in the guest does not stall" { congestion_as_named; }

# The client's half-close is part of every upload; here the server is first.

@test "half-close by the server, out IPv4" { client_as_named half-close -size 1000000; }
@test "half-close by the server, out IPv6" { client_as_named half-close -size 1000000; }
@test "half-close by the server, in IPv4" { client_as_named half-close -size 1000000; }
@test "half-close by the server, in IPv6" { client_as_named half-close -size 1000000; }

@test "1000 connections at once, out IPv4" { client_as_named hold -count 1000 </dev/null; }
@test "1000 connections at once, out IPv6" { client_as_named hold -count 1000 </dev/null; }
@test "1000 connections at once, in IPv4" { client_as_named hold -count 1000 </dev/null; }
@test "1000 connections at once, in IPv6" { client_as_named hold -count 1000 </dev/null; }

@test "connections one after the other leave nothing behind" {
	client out IPv4 crr -for 1s
	client in IPv4 crr -for 1s
	client out IPv4 up -size 1000
}

@test "refused connection, IPv4" { expect ECONNREFUSED same_as_host connect "$PEER4:9"; }
@test "refused connection, IPv6" { expect ECONNREFUSED same_as_host connect "[$PEER6]:9"; }
@test "router says unreachable, IPv4" { expect EHOSTUNREACH same_as_host connect 10.99.0.1:80; }
@test "router says unreachable, IPv6" { same_as_host connect "[fd99::1]:80"; }
@test "no such neighbour, IPv4" { expect EHOSTUNREACH same_as_host connect 10.66.0.99:80; }
@test "no such neighbour, IPv6" { expect EHOSTUNREACH same_as_host connect "[fd66::99]:80"; }
@test "silent peer, IPv4" { expect ETIMEDOUT same_as_host connect 10.98.0.1:80; }
@test "silent peer, IPv6" { expect ETIMEDOUT same_as_host connect "[fd98::1]:80"; }

@test "reset by the peer reaches the guest" { expect ECONNRESET client out IPv4 reset; }
@test "reset by the guest reaches the peer" { expect ECONNRESET client in IPv4 reset; }

@test "a killed client's connection is reset or closed at the peer, others go on" {
	background in_guest "$NETTOOL" down -size 1 -interval 1s "$PEER4:$OUT_PORT"
	wait_for 5 peer_has_connections 1
	background in_guest "$NETTOOL" up -stall 60s -size "$LARGE" "$PEER4:$OUT_PORT"
	wait_for 5 peer_has_connections 2
	client out IPv4 up -size 1000
	kill_and_wait KILL "$BG_PID"
	wait_for 5 peer_has_connections 1
	client out IPv4 up -size 1000
}

# peer_has_connections N: established ones, as the kernel counts them.
peer_has_connections() { [ "$(in_peer ss -Htn state established "sport = :$OUT_PORT" | wc -l)" -eq "$1" ]; }

@test "inbound connection to a closed guest port ends with a reset" {
	local port=6002
	guest_start "$WAY" -t "$port"
	run in_peer "$NETTOOL" up -size 1 -timeout 10s "$HOST4:$port"
	echo "$output"
	[ "$status" -eq 1 ]
	[[ "$output" == *"connection re"* ]] # refused or reset, by who is first
	guest_stop
}

# all_ways FLAGS...: transfers in each direction, on connections opened in each, at once.
all_ways() {
	local jobs=() job
	client out IPv4 up "$@" 3>&- & jobs+=($!)
	client out IPv6 down "$@" 3>&- & jobs+=($!)
	client in IPv6 up "$@" 3>&- & jobs+=($!)
	client in IPv4 down "$@" 3>&- & jobs+=($!)
	for job in "${jobs[@]}"; do wait "$job"; done
}

@test "peer that stops reading for 20 s, then reads all" {
	all_ways -stall 20s -size 50000000
}

@test "peer that sends one byte per 10 ms" {
	all_ways -interval 10ms -size 200
}

@test "eight streams at once in each direction" {
	local jobs=() job
	for _ in {1..8}; do
		client out IPv4 up -size 10000000 3>&- & jobs+=($!)
		client in IPv6 up -size 10000000 3>&- & jobs+=($!)
	done
	for job in "${jobs[@]}"; do wait "$job"; done
}

@test "TCP in IPv4: the guest sees the client's address" {
	expect "$GATEWAY4:40001" client_as_named peer -source "$GATEWAY4:40001"
	expect "$PEER4:40001" client_as_named peer -source "$PEER4:40001"
}

@test "TCP in IPv6: the guest sees the client's address" {
	expect "[$PEER6]:40001" client_as_named peer -source "[$PEER6]:40001"
}

@test "TCP out: the peer sees the host's address" {
	[[ $(client out IPv4 peer) == "$HOST4:"* ]]
	[[ $(client out IPv6 peer) == "[$HOST6]:"* ]]
}
