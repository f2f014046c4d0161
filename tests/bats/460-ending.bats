# shellcheck shell=bash
# Data that is under way when the run ends.

load helpers

setup_file() { network_start; }

teardown_file() { network_stop; }

# sends_and_ends FAMILY ADDRESS: a command sends more than the peer takes at once
# and ends at once; all of it must arrive.
sends_and_ends() {
	local port=700$1 addr=$2 sent=$BATS_TEST_TMPDIR/sent got=$BATS_TEST_TMPDIR/got
	head -c 1000000 /dev/urandom >"$sent"
	background in_peer sh -c "socat -u TCP$1-LISTEN:$port,rcvbuf=32768 - | (sleep 0.3; cat)" >"$got"
	wait_for 5 peer_listens "$port"
	as_user "$PASTA" --config-net -- socat -u - "TCP$1:$addr:$port,sndbuf=4000000" <"$sent"
	wait_for 5 cmp -s "$sent" "$got"
}

peer_listens() { in_peer ss -Hltn "sport = :$1" | grep -q LISTEN; }

@test "what a command sent before it ended arrives, IPv4" { sends_and_ends 4 "$PEER4"; }
@test "what a command sent before it ended arrives, IPv6" { sends_and_ends 6 "[$PEER6]"; }

# The same past the tap, with a service on the host's loopback.
@test "what a command sent before it ended arrives past the tap" {
	local sent=$BATS_TEST_TMPDIR/sent got=$BATS_TEST_TMPDIR/got
	head -c 1000000 /dev/urandom >"$sent"
	background in_host sh -c "socat -u TCP4-LISTEN:7012,bind=127.0.0.1,rcvbuf=32768 - | (sleep 0.3; cat)" >"$got"
	wait_for 5 host_listens 7012
	as_user "$PASTA" --config-net -T 7012 -- socat -u - TCP4:127.0.0.1:7012,sndbuf=4000000 <"$sent"
	wait_for 5 cmp -s "$sent" "$got"
}

host_listens() { in_host ss -Hltn "sport = :$1" | grep -q LISTEN; }
