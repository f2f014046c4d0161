# shellcheck shell=bash
# RootlessKit with --net=vpnkit: the newest release, and the last of the first series.
# (Debian's package leaves vpnkit out.)
# bats file_tags=root

load helpers
load lib/rootlesskit

VPNKIT_GATEWAY=192.168.65.1 # also the resolver
VPNKIT_HOST=192.168.65.2
VPNKIT_GUEST=192.168.65.3
LOCAL_PORT=7001 # on the host's loopback

setup_file() {
	rootlesskit_setup vpnkit
	serve in_host "127.0.0.1:$LOCAL_PORT"
	resolver_start
	page_start
}

teardown_file() { network_stop; }

teardown() { rootlesskit_teardown; }

# resolver_start answers the host's queries, over UDP and TCP.
resolver_start() {
	background in_peer "$NETTOOL" dns-serve "$GATEWAY4:53" "$PEER4"
	wait_for 5 in_host dig +short +tries=1 +timeout=1 "@$GATEWAY4" any.example
}

# page_start serves one page on port 80 of the peer.
page_start() {
	printf '#!/bin/sh\nread -r line\nprintf "HTTP/1.0 200 OK\\r\\n\\r\\nhello from the peer\\n"\n' >"$TOPO_DIR/page"
	chmod 755 "$TOPO_DIR/page"
	background in_peer socat "TCP4-LISTEN:80,bind=$PEER4,fork,reuseaddr" "EXEC:$TOPO_DIR/page"
}

# kit OPTIONS...: RootlessKit over vpnkit.
kit() { kit_start --net=vpnkit --vpnkit-binary="$TOPO_DIR/path/vpnkit" --port-driver=builtin "$@"; }

# kit1 OPTIONS...: the same with the older release.
kit1() { KIT_BINARY=$ROOTLESSKIT1 kit "$@"; }

# within CMD...: in all namespaces of RootlessKit's command.
within() { as_rootless nsenter -t "$CHILD" -U -n -m --preserve-credentials -- "$@"; }

# configured MTU: the child has set up what it was told.
configured() {
	expect "mtu $1" within sh -c "ip link show tap0 | grep -o 'mtu [0-9]*'"
	expect "inet $VPNKIT_GUEST/24" within sh -c "ip -4 address show tap0 | grep -o 'inet [^ ]*'"
	expect "default via $VPNKIT_GATEWAY dev tap0" within sh -c "ip route | sed -n 's/^\(default.*[^ ]\) *$/\1/p'"
	expect "nameserver $VPNKIT_GATEWAY" within grep nameserver /etc/resolv.conf
}

# carries: everything moves, in both directions.
carries() {
	local size=$((LARGE / 2))
	in_child ping -q -c 2 -W 5 "$VPNKIT_GATEWAY"
	in_child ping -q -c 2 -W 5 "$VPNKIT_HOST"
	in_child ping -q -c 2 -W 5 -s 1400 "$PEER4"
	in_child "$NETTOOL" up -size "$size" "$PEER4:$OUT_PORT"
	in_child "$NETTOOL" down -size "$size" "$PEER4:$OUT_PORT"
	in_child "$NETTOOL" half-close -size 1000000 "$PEER4:$OUT_PORT"
	in_child "$NETTOOL" udp-echo -count 100 -size 1400 "$PEER4:$OUT_PORT"
	in_child "$NETTOOL" udp-reply -size 65000 "$PEER4:$OUT_PORT" # in fragments, if need be
}

# silence CMD...: nettool gets no answer at all.
silence() {
	run "$@"
	echo "$output"
	[ "$output" = "nettool connect: no end after 2s" ]
}

@test "MTU 1500" {
	kit --mtu 1500
	configured 1500
	carries
}

@test "MTU 65520" {
	kit --mtu 65520
	configured 65520
	carries
}

@test "MTU 1280 and no host loopback" {
	kit --mtu 1280 --disable-host-loopback
	configured 1280
	expect ok in_child "$NETTOOL" connect "$PEER4:$OUT_PORT"
	expect EHOSTUNREACH in_child "$NETTOOL" connect "$VPNKIT_HOST:$LOCAL_PORT"
	silence in_child "$NETTOOL" connect -timeout 2s "$VPNKIT_GATEWAY:$LOCAL_PORT"
	! in_child ping -q -c 1 -W 1 "$VPNKIT_HOST" || return 1
	expect "$PEER4" lookup host.internal # a name like others
}

@test "the host's loopback" {
	kit
	expect ok in_child "$NETTOOL" connect "$VPNKIT_HOST:$LOCAL_PORT"
	expect ECONNREFUSED in_child "$NETTOOL" connect "$VPNKIT_HOST:7002"
	in_child "$NETTOOL" udp-echo -count 5 "$VPNKIT_HOST:$LOCAL_PORT"
	silence in_child "$NETTOOL" connect -timeout 2s "$VPNKIT_GATEWAY:$LOCAL_PORT"
}

@test "connections that the host refuses are reset" {
	kit
	expect ECONNREFUSED in_child "$NETTOOL" connect "$PEER4:9"
	expect ECONNREFUSED in_child "$NETTOOL" connect 10.99.0.1:80
}

# lookup ARGS...: what dig finds with the resolver of the child.
lookup() { within dig +short +tries=1 +timeout=5 "$@"; }

# lookup_status ARGS...: the status of the reply.
lookup_status() { within dig +tries=1 +timeout=5 "$@" | sed -n 's/.*status: \([A-Z]*\),.*/\1/p'; }

@test "names" {
	kit
	expect "$PEER4" lookup some.example
	expect "$VPNKIT_HOST" lookup host.internal
	expect "$VPNKIT_GATEWAY" lookup gateway.internal
	expect "$VPNKIT_GUEST" lookup vm.internal
	expect NXDOMAIN lookup_status host.internal AAAA
	expect "hello from the peer" within curl -s http://web.example/
}

@test "queries over TCP reach the resolver" {
	kit
	expect "$PEER4" lookup +tcp some.example
}

@test "a resolver of the host that speaks IPv6 only" {
	background in_peer "$NETTOOL" dns-serve "[$GATEWAY6]:53" "$PEER4"
	wait_for 5 in_host dig +short +tries=1 +timeout=1 "@$GATEWAY6" any.example
	echo "nameserver $GATEWAY6" >"$TOPO_DIR/resolv.conf"
	kit
	expect "$PEER4" lookup some.example
	expect "$PEER4" lookup +tcp some.example
	kit_end
	echo "nameserver $GATEWAY4" >"$TOPO_DIR/resolv.conf"
}

@test "a published port" {
	kit --disable-host-loopback
	serve in_child "$VPNKIT_GUEST:80"
	expect 1 ctl add-ports "$HOST4:8080:80/tcp"
	expect ok from_peer 8080
	expect 1 ctl remove-ports 1
	expect ECONNREFUSED from_peer 8080
}

# iperf OPTIONS...: bits per second and retransmissions of a second, as the sender saw
# them.
iperf() {
	in_child iperf3 -c "$PEER4" -p 5201 -t 1 -J "$@" >"$TOPO_DIR/iperf.json"
	jq -r '.end.sum_sent | "\(.bits_per_second / 1e6 | floor) Mbit/s, \(.retransmits) retransmitted"' "$TOPO_DIR/iperf.json"
	[ "$(jq '.end.sum_received.bits_per_second > 1e7' "$TOPO_DIR/iperf.json")" = true ]
}

@test "iperf3, both ways" {
	local mtu
	background in_peer iperf3 -s -B "$PEER4" -p 5201 >"$TOPO_DIR/iperf.log" 2>&1
	for mtu in 1500 65520; do
		kit --mtu "$mtu"
		iperf
		expect true jq '.end.sum_sent.retransmits < 50' "$TOPO_DIR/iperf.json"
		iperf -R
		iperf -P 4
		iperf -P 4 -R
		kit_end
	done
}

@test "a detached network namespace" {
	kit --detach-netns --mtu 65520
	expect ok in_detached "$NETTOOL" connect "$PEER4:$OUT_PORT"
	in_detached "$NETTOOL" up -size 1000000 "$PEER4:$OUT_PORT"
}

# vpnkit_pid prints the PID of vpnkit.
vpnkit_pid() { pgrep -P "$KIT" -x vpnkit; }

@test "after a crash of RootlessKit vpnkit is gone, and a new run works" {
	kit
	local vpnkit
	vpnkit=$(vpnkit_pid)
	[ -S "$STATE/vpnkit-ethernet.sock" ]
	kill_and_wait KILL "$KIT"
	wait_for 5 gone "$vpnkit"
	rm -rf "$STATE"
	kit
	expect ok in_child "$NETTOOL" connect "$PEER4:$OUT_PORT"
}

@test "the end of the command is the end of all" {
	kit
	kill_and_wait KILL "$(command_runs)"
	wait_for 5 gone "$KIT"
	KIT=
	wait_for 5 no_strays
}

@test "RootlessKit 1: MTU 1500" {
	kit1 --mtu 1500
	configured 1500
	carries
	expect "hello from the peer" within curl -s http://web.example/
}

@test "RootlessKit 1: MTU 65520 and no host loopback" {
	kit1 --mtu 65520 --disable-host-loopback
	configured 65520
	in_child "$NETTOOL" up -size "$LARGE" "$PEER4:$OUT_PORT"
	in_child "$NETTOOL" down -size "$LARGE" "$PEER4:$OUT_PORT"
	expect EHOSTUNREACH in_child "$NETTOOL" connect "$VPNKIT_HOST:$LOCAL_PORT"
	serve in_child "$VPNKIT_GUEST:80"
	ctl add-ports "$HOST4:8080:80/tcp"
	expect ok from_peer 8080
}

@test "vpnkit --version is a line of its own" {
	run as_rootless vpnkit --version
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 1 ]
}

@test "vpnkit without a socket to serve" {
	run as_rootless vpnkit
	[ "$status" -eq 0 ]
	[ "$output" = "Please provide an --ethernet argument" ]
	fails_with 'listen on /does/not/exist/sock' as_rootless vpnkit --ethernet /does/not/exist/sock
}

# socket_only: vpnkit alone; sets KIT_SOCKET and VPNKIT.
socket_only() {
	KIT_SOCKET=$TOPO_DIR/ethernet.$RANDOM
	background as_rootless vpnkit --ethernet "$KIT_SOCKET"
	VPNKIT=$BG_PID
	wait_for 5 test -S "$KIT_SOCKET"
}

@test "signals have their default action, and the path stays" {
	socket_only
	expect 600 stat -c %a "$KIT_SOCKET"
	kill_and_wait TERM "$VPNKIT"
	[ -S "$KIT_SOCKET" ]
}

@test "vpnkit gives up what it does not need" {
	socket_only
	expect "NoNewPrivs:	1" grep NoNewPrivs "/proc/$VPNKIT/status"
	expect "Seccomp:	2" grep Seccomp: "/proc/$VPNKIT/status"
	kill_and_wait TERM "$VPNKIT"
}

@test "docs/compat/vpnkit.md has every option" {
	local option
	for option in $(as_rootless vpnkit --help | grep -o -e '^ *--[a-z-]*'); do
		echo "$option"
		grep -q -e "^| .*\`${option}[\` ]" "$REPO/docs/compat/vpnkit.md"
	done
}
