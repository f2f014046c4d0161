# shellcheck shell=bash
# Loopback to loopback past the interface, both ways: integrity, closing, stalls,
# who sees which address, and what must not be reachable.

load helpers

# Ports: 6001 and 6002 are published (6002 has a service on the guest's loopback
# only), 7001 is the host's in the namespace, 7002 is not.
setup_file() {
	network_start
	guest_start pid -t 6001-6003 -u 6001-6003 -T 7001 -U 7001
	serve in_guest "$HOST4:6001" "[$HOST6]:6001"
	serve in_guest 127.0.0.1:6002 "[::1]:6002"
	serve in_host 127.0.0.1:7001 "[::1]:7001"
	serve in_host 127.0.0.1:7002 "[::1]:7002"
	guest_save
}

teardown_file() { network_stop; }

setup() { guest_load; }

# bypassed SUBCOMMAND [flags]: a client on a loopback address, by the name of the test
# on the host (in) or in the guest (out).
bypassed() {
	case "$(named in out) $(named IPv4 IPv6)" in
	"in IPv4") in_host "$NETTOOL" "$@" 127.0.0.1:6001 ;;
	"in IPv6") in_host "$NETTOOL" "$@" "[::1]:6001" ;;
	"out IPv4") in_guest "$NETTOOL" "$@" 127.0.0.1:7001 ;;
	"out IPv6") in_guest "$NETTOOL" "$@" "[::1]:7001" ;;
	esac
}

transfer() {
	bypassed up -size "$1"
	bypassed down -size "$1"
}

@test "TCP in IPv4, 1 byte" { transfer 1; }
@test "TCP in IPv6, nothing" { transfer 0; }
@test "TCP out IPv4, nothing" { transfer 0; }
@test "TCP out IPv6, 1 byte" { transfer 1; }
@test "TCP in IPv4, 100 MB" { transfer "$LARGE"; }
@test "TCP in IPv6, 100 MB" { transfer "$LARGE"; }
@test "TCP out IPv4, 100 MB" { transfer "$LARGE"; }
@test "TCP out IPv6, 100 MB" { transfer "$LARGE"; }

@test "half-close by the server, in IPv4" { bypassed half-close -size 1000000; }
@test "half-close by the server, out IPv6" { bypassed half-close -size 1000000; }
@test "reset by the server, in IPv6" { expect ECONNRESET bypassed reset; }
@test "reset by the server, out IPv4" { expect ECONNRESET bypassed reset; }

datagrams() {
	bypassed udp-echo -count 200 -size 1
	bypassed udp-echo -count 200 -size 1400
	bypassed udp-echo -count 2 -size 60000 # more do not fit into the default buffers
}

@test "UDP in IPv4" { datagrams; }
@test "UDP in IPv6" { datagrams; }
@test "UDP out IPv4" { datagrams; }
@test "UDP out IPv6" { datagrams; }

# refused WHERE ADDR: what becomes of a datagram to a port that is forwarded to nobody.
refused() { "$1" "$NETTOOL" connect -udp "$2"; }

@test "UDP to a port that nobody has: the namespace is told, on the host there are no rights for that" {
	local address
	guest_start "$WAY" -t none -u 6009 -U 7009
	for address in 127.0.0.1 "[::1]"; do
		expect ECONNREFUSED refused in_guest "$address:7009"
		expect silence refused in_host "$address:6009"
	done
	guest_stop
}

# sees WANT WHERE ADDR [flags]: the server at ADDR sees a client at address WANT.
sees() {
	local want=$1 where=$2 addr=$3 seen
	shift 3
	seen=$("$where" "$NETTOOL" peer "$@" "$addr")
	[ "${seen%:*}" = "$want" ] || { echo "$addr sees $seen, want $want" && return 1; }
}

@test "the service sees the guest's own address, or the host's loopback" {
	for udp in "" -udp; do
		sees "$HOST4" in_host 127.0.0.1:6001 $udp
		sees "[$HOST6]" in_host "[::1]:6001" $udp
		sees 127.0.0.1 in_guest 127.0.0.1:7001 $udp
		sees "[::1]" in_guest "[::1]:7001" $udp
	done
}

@test "a remote client is seen with its own address and port" {
	for udp in "" -udp; do
		expect "$PEER4:4711" in_peer "$NETTOOL" peer $udp -source "$PEER4:4711" "$HOST4:6001"
		expect "[$PEER6]:4711" in_peer "$NETTOOL" peer $udp -source "[$PEER6]:4711" "[$HOST6]:6001"
	done
}

@test "services on the guest's loopback stay there" {
	closed in_host 127.0.0.1:6002
	closed in_host "[::1]:6002"
	closed in_host "$HOST4:6002"
	closed in_peer "$HOST4:6002"
	closed in_peer "[$HOST6]:6002"
}

@test "services on the host's loopback stay there, but for what is forwarded, and the guest" {
	closed in_peer "$HOST4:7001"
	closed in_peer "[$HOST6]:7001"
	closed in_guest 127.0.0.1:7002
	closed in_guest "[::1]:7002"
	closed in_guest "$HOST4:7001"
	closed in_guest "[$HOST6]:7001"
}

# A forged source must not open the bypass: such packets are martians to the kernel.
@test "a loopback source from outside does not reach the bypass" {
	in_peer ip addr add 127.0.0.9/8 dev lo 2>/dev/null || true
	closed_from 127.0.0.9 "$HOST4:6001"
}

closed_from() { ! in_peer "$NETTOOL" peer -timeout 2s -udp -source "$1:0" "$2"; }

# switches: how often threads of the daemon slept.
switches() { in_host cat /proc/"$PASTA_PID"/task/*/status | awk '/^voluntary/ { n += $2 } END { print n }'; }

@test "while one end stalls, nothing runs" {
	local before client server slept
	serve in_guest "$HOST4:6003"
	server=$BG_PID
	background in_host "$NETTOOL" up -size 300000000 127.0.0.1:6003
	client=$BG_PID
	kill -STOP "$server"
	wait_for 5 still
	before=$(ticks) slept=$(switches)
	sleep 2 # the measured time
	[ $(($(ticks) - before)) -le 1 ]
	[ $(($(switches) - slept)) -le 20 ]
	kill -CONT "$server"
	wait_for 30 gone "$client"
	kill_and_wait KILL "$server"
}

# descriptors [PATTERN]: how many the daemon has open, of those that point to PATTERN.
descriptors() { in_host find "/proc/$PASTA_PID/fd" -mindepth 1 -lname "${1-*}" | wc -l; }

# no_more SOCKETS PIPES: the daemon has at most so many descriptors of each kind.
no_more() { [ "$(descriptors 'socket:*')" -le "$1" ] && [ "$(descriptors 'pipe:*')" -le "$2" ]; }

# ten_thousand WHERE ADDR: so many connections are opened, used and closed without a trace.
ten_thousand() {
	local sockets pipes
	"$1" "$NETTOOL" hold -count 100 "$2" </dev/null
	wait_for 5 still
	sockets=$(descriptors 'socket:*') pipes=$(descriptors 'pipe:*')
	for _ in 1 2 3 4; do
		"$1" "$NETTOOL" hold -count 2500 "$2" </dev/null
	done
	# The stock of sockets varies by half of it, four pipes may be kept.
	wait_for 5 no_more $((sockets + 32)) $((pipes + 8))
}

@test "10,000 connections come and go without a trace" { ten_thousand in_host 127.0.0.1:6001; }
@test "10,000 connections from the namespace come and go without a trace" { ten_thousand in_guest 127.0.0.1:7001; }
@test "10,000 connections across the interface come and go without a trace" { ten_thousand in_peer "$HOST4:6001"; }

@test "--host-lo-to-ns-lo: loopback services are reachable from the host's loopback alone" {
	guest_start "$WAY" --host-lo-to-ns-lo -t 6102 -u 6102
	serve in_guest 127.0.0.1:6102 "[::1]:6102"
	sees 127.0.0.1 in_host 127.0.0.1:6102
	sees "[::1]" in_host "[::1]:6102"
	sees 127.0.0.1 in_host 127.0.0.1:6102 -udp
	closed in_peer "$HOST4:6102"
	closed in_peer "[$HOST6]:6102"
	closed in_host "$HOST4:6102"
	guest_stop
}

@test "--no-splice: clients on the host's loopback take the interface" {
	guest_start "$WAY" --no-splice -t 6103 -u 6103
	serve in_guest "$HOST4:6103" "[$HOST6]:6103"
	sees "$GATEWAY4" in_host 127.0.0.1:6103
	sees "[$GATEWAY6]" in_host "[::1]:6103"
	sees "$GATEWAY4" in_host 127.0.0.1:6103 -udp
	guest_stop
}

@test "--splice-only: no interface, and only loopback reaches loopback" {
	guest_start "$WAY" --splice-only -t 6104 -u 6104 -T 7001 -U 7001
	serve in_guest 127.0.0.1:6104 "[::1]:6104"
	expect lo in_guest sh -c "ip -o link | awk -F': ' '{ print \$2 }'"
	for udp in "" -udp; do
		sees 127.0.0.1 in_host 127.0.0.1:6104 $udp
		sees "[::1]" in_host "[::1]:6104" $udp
		sees 127.0.0.1 in_guest 127.0.0.1:7001 $udp
		sees "[::1]" in_guest "[::1]:7001" $udp
	done
	closed in_peer "$HOST4:6104"
	closed in_peer "[$HOST6]:6104"
	closed in_host "$HOST4:6104"
	guest_stop
}
