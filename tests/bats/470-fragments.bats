# shellcheck shell=bash
# IP fragments from the guest, and what exceeds its MTU on the way back.

load helpers

setup_file() {
	network_start
	guest_with_server -m 1500
	guest_save
}

teardown_file() { network_stop; }

setup() { guest_load; }

@test "UDP out IPv4, 8 KB at MTU 1500" { client_as_named udp-echo -count 200 -window 4 -size 8192; }
@test "UDP out IPv6, 8 KB at MTU 1500" { client_as_named udp-echo -count 200 -window 4 -size 8192; }
@test "UDP in IPv4, 8 KB at MTU 1500" { client_as_named udp-echo -count 200 -window 4 -size 8192; }
@test "UDP in IPv6, 8 KB at MTU 1500" { client_as_named udp-echo -count 200 -window 4 -size 8192; }

@test "UDP out IPv4, 60 KB at MTU 1500" { client_as_named udp-echo -count 50 -window 2 -size 60000; }
@test "UDP out IPv6, 60 KB at MTU 1500" { client_as_named udp-echo -count 50 -window 2 -size 60000; }
@test "UDP in IPv4, 60 KB at MTU 1500" { client_as_named udp-echo -count 50 -window 2 -size 60000; }
@test "UDP in IPv6, 60 KB at MTU 1500" { client_as_named udp-echo -count 50 -window 2 -size 60000; }

@test "UDP out IPv4, longest datagram at MTU 1500" { client_as_named udp-echo -count 10 -window 1 -size 65507; }
@test "UDP out IPv6, longest datagram at MTU 1500" { client_as_named udp-echo -count 10 -window 1 -size 65527; }

# pings SIZE ADDRESS: three echoes with SIZE bytes of payload, all answered intact.
pings() {
	in_guest ping -c 3 -i 0.01 -W 2 -s "$1" "$2" | tee /dev/stderr | grep -q " 0% packet loss"
}

@test "ping with 3000 bytes at MTU 1500" {
	pings 3000 "$PEER4"
	pings 3000 "$PEER6"
}

@test "ping with 30000 bytes at MTU 1500" {
	pings 30000 "$PEER4"
	pings 30000 "$PEER6"
}
