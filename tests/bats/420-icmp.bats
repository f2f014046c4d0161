# shellcheck shell=bash
# ICMP and ICMPv6 echo from the guest.

load helpers

setup_file() {
	network_start
	guest_start "$WAY"
	guest_save
}

teardown_file() { network_stop; }

setup() { guest_load; }

# ping_peer SIZE: three echoes with SIZE bytes of payload, all answered intact.
ping_peer() {
	local peer=$PEER4
	[ "$(named IPv4 IPv6)" = IPv4 ] || peer=$PEER6
	in_guest ping -c 3 -i 0.01 -W 2 -s "$1" "$peer" | tee /dev/stderr | grep -q " 0% packet loss"
}

@test "ICMP out IPv4, 1 byte" { ping_peer 1; }
@test "ICMP out IPv6, 1 byte" { ping_peer 1; }
@test "ICMP out IPv4, 1400 bytes" { ping_peer 1400; }
@test "ICMP out IPv6, 1400 bytes" { ping_peer 1400; }
@test "ICMP out IPv4, larger than the host's MTU" { ping_peer 8000; }
@test "ICMP out IPv6, larger than the host's MTU" { ping_peer 8000; }

@test "the identifier is kept on the wire" {
	local seen="$TOPO_DIR/echo-id"
	background in_peer "$NETTOOL" echo-id >"$seen" 2>"$seen.err"
	wait_for 5 grep -q ready "$seen.err"
	in_guest ping -c 1 -W 2 -e 4242 "$PEER4"
	wait_for 5 grep -qx 4242 "$seen"
}

@test "several pings at once get their own answers" {
	local jobs=() job
	for _ in {1..20}; do
		in_guest ping -q -c 5 -i 0.01 -W 2 "$PEER4" 3>&- & jobs+=($!)
	done
	for job in "${jobs[@]}"; do wait "$job"; done
}

@test "no answer from a host that is not there" {
	run in_guest ping -c 1 -W 1 10.98.0.1
	[ "$status" -eq 1 ]
}

@test "ICMP in: the host's address answers the peer" {
	in_peer ping -c 1 -W 2 "$HOST4"
	in_peer ping -c 1 -W 2 "$HOST6"
}
