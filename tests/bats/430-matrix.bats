# shellcheck shell=bash
# The transfer matrix: TCP, UDP and ICMP over IPv4 and IPv6, in and out, small
# and large, at every MTU with every offload on and off. One guest per test
# carries all transfers; the name of the test selects MTU and options.

load helpers

setup_file() { network_start; }

teardown_file() { network_stop; }

teardown() { guest_end; }

# options_as_named: pasta's options for "MTU N, all offloads" or "MTU N, --opt...".
options_as_named() {
	local words
	read -r -a words <<<"${BATS_TEST_DESCRIPTION//,/}"
	echo "-m ${words[1]}"
	printf '%s\n' "${words[@]:2}" | grep -e ^-- || true
}

tcp_matrix() {
	local direction=$1 family=$2
	client "$direction" "$family" up -size 1
	client "$direction" "$family" down -size 1
	client "$direction" "$family" up -size "$LARGE"
	client "$direction" "$family" down -size 10000000
}

# Payload of the largest datagram: IPv4 header 20, IPv6 40, UDP 8 bytes.
udp_matrix() {
	local direction=$1 family=$2 mtu=$3 headers=28
	[ "$family" = IPv4 ] || headers=48
	client "$direction" "$family" udp-echo -count 5 -size 1
	client "$direction" "$family" udp-echo -count 2000 -size 1200
	client "$direction" "$family" udp-echo -count 20 -window 2 -size $((mtu - headers))
}

matrix() {
	local direction family mtu options
	mapfile -t options < <(options_as_named)
	mtu=${options[0]#-m }
	guest_with_server "${options[0]/ /}" "${options[@]:1}"
	for family in IPv4 IPv6; do
		for direction in out in; do
			tcp_matrix "$direction" "$family"
			udp_matrix "$direction" "$family" "$mtu"
		done
	done
	for peer in "$PEER4" "$PEER6"; do
		in_guest ping -q -c 1 -W 2 -s 1 "$peer"
		in_guest ping -q -c 1 -W 2 -s 1232 "$peer"
	done
	in_guest nstat -asz TcpRetransSegs | tee /dev/stderr | grep -Eq '^TcpRetransSegs +0 '
	guest_stop
}

@test "MTU 1280, all offloads" { matrix; }
@test "MTU 1280, --no-vnet-hdr" { matrix; }
@test "MTU 1280, --no-csum-offload" { matrix; }
@test "MTU 1280, --no-tso" { matrix; }
@test "MTU 1280, --no-uso" { matrix; }
@test "MTU 1280, --no-tso --no-uso" { matrix; }
@test "MTU 1500, all offloads" { matrix; }
@test "MTU 1500, --no-vnet-hdr" { matrix; }
@test "MTU 1500, --no-csum-offload" { matrix; }
@test "MTU 1500, --no-tso" { matrix; }
@test "MTU 1500, --no-uso" { matrix; }
@test "MTU 1500, --no-tso --no-uso" { matrix; }
@test "MTU 9000, all offloads" { matrix; }
@test "MTU 9000, --no-vnet-hdr" { matrix; }
@test "MTU 9000, --no-csum-offload" { matrix; }
@test "MTU 9000, --no-tso" { matrix; }
@test "MTU 9000, --no-uso" { matrix; }
@test "MTU 9000, --no-tso --no-uso" { matrix; }
@test "MTU 65520, all offloads" { matrix; }
@test "MTU 65520, --no-vnet-hdr" { matrix; }
@test "MTU 65520, --no-csum-offload" { matrix; }
@test "MTU 65520, --no-tso" { matrix; }
@test "MTU 65520, --no-uso" { matrix; }
@test "MTU 65520, --no-tso --no-uso" { matrix; }
