# shellcheck shell=bash
# UDP through the tap: integrity, sizes, many flows, ICMP errors, addresses.

load helpers

setup_file() {
	network_start
	guest_with_server
	guest_save
}

teardown_file() { network_stop; }

setup() { guest_load; }

@test "UDP out IPv4, 1 byte" { client_as_named udp-echo -count 20 -size 1; }
@test "UDP out IPv6, 1 byte" { client_as_named udp-echo -count 20 -size 1; }
@test "UDP in IPv4, 1 byte" { client_as_named udp-echo -count 20 -size 1; }
@test "UDP in IPv6, 1 byte" { client_as_named udp-echo -count 20 -size 1; }

@test "UDP out IPv4, 20000 datagrams" { client_as_named udp-echo -count 20000 -size 1400; }
@test "UDP out IPv6, 20000 datagrams" { client_as_named udp-echo -count 20000 -size 1400; }
@test "UDP in IPv4, 20000 datagrams" { client_as_named udp-echo -count 20000 -size 1400; }
@test "UDP in IPv6, 20000 datagrams" { client_as_named udp-echo -count 20000 -size 1400; }

# 65520 bytes of MTU less the headers, guest to host and back.
@test "UDP out IPv4, largest datagram of the MTU" { client_as_named udp-echo -count 50 -window 2 -size 65492; }
@test "UDP out IPv6, largest datagram of the MTU" { client_as_named udp-echo -count 50 -window 2 -size 65472; }
@test "UDP in IPv4, largest datagram of the MTU" { client_as_named udp-echo -count 50 -window 2 -size 65492; }
@test "UDP in IPv6, largest datagram of the MTU" { client_as_named udp-echo -count 50 -window 2 -size 65472; }

@test "UDP out IPv4, answer of 65507 bytes" { client_as_named udp-reply -size 65507; }
@test "UDP out IPv6, answer of 65487 bytes" { client_as_named udp-reply -size 65487; }

@test "datagrams larger than a small MTU reach the guest" {
	guest_start "$WAY" -m 1500
	client out IPv4 udp-reply -size 3000
	client out IPv6 udp-reply -size 3000
	guest_stop
}

@test "100 flows at once" {
	local jobs=() job
	for _ in {1..50}; do
		client out IPv4 udp-echo -count 20 -window 4 -size 1000 3>&- & jobs+=($!)
		client in IPv6 udp-echo -count 20 -window 4 -size 1000 3>&- & jobs+=($!)
	done
	for job in "${jobs[@]}"; do wait "$job"; done
}

@test "refused datagram, IPv4" { expect ECONNREFUSED same_as_host connect -udp "$PEER4:9"; }
@test "refused datagram, IPv6" { expect ECONNREFUSED same_as_host connect -udp "[$PEER6]:9"; }
@test "router says unreachable, IPv4" { same_as_host connect -udp 10.99.0.1:80; }
@test "router says unreachable, IPv6" { same_as_host connect -udp "[fd99::1]:80"; }

@test "UDP in IPv4: the guest sees the client's address" {
	expect "$PEER4:40001" client_as_named peer -udp -source "$PEER4:40001"
}

@test "UDP in IPv6: the guest sees the client's address" {
	expect "[$PEER6]:40001" client_as_named peer -udp -source "[$PEER6]:40001"
}

@test "UDP out: the peer sees the host's address and the guest's port" {
	expect "$HOST4:40002" client out IPv4 peer -udp -source "$HOST4:40002"
	expect "[$HOST6]:40002" client out IPv6 peer -udp -source "[$HOST6]:40002"
}
