# shellcheck shell=bash
# Packets with forged sources, from the guest and from outside: none passes for one of the
# host's loopback, nor for a client of the bypass. The host's kernel is set to let in what
# kernels can be set to let in.

load helpers

# What no packet on a link may have as its source. Those of IPv4 in 16 bytes come as IPv6.
NEVER=127.0.0.1,127.0.0.9,0.0.0.0,224.0.0.1,255.255.255.255,::1,::,ff02::1,::ffff:127.0.0.1,::ffff:0.0.0.0,::ffff:10.66.0.2
OWN=$HOST4,$HOST6,$GATEWAY4,$GATEWAY6 # of the host, and what means its loopback
PORT=7100                             # of services that nobody has forwarded

setup_file() {
	network_start
	# shellcheck disable=SC2016 # for the other shell
	in_host sh -ec '
		for conf in all up0; do
			cd /proc/sys/net/ipv4/conf/$conf
			echo 1 >route_localnet
			echo 1 >accept_local
			echo 0 >rp_filter
		done'
}

teardown_file() { network_stop; }

teardown() { guest_end; }

# witness WHERE ADDR...: sets WITNESS to where it is kept who comes to these services.
witness() {
	local where=$1
	shift
	WITNESS=$(mktemp "$TOPO_DIR/witness.XXXXXX")
	background "$where" "$NETTOOL" witness "$@" >"$WITNESS"
	WITNESS_PID=$BG_PID
	wait_for 5 grep -q ready "$WITNESS"
}

# witnessed LINE...: exactly these have come, in any order.
witnessed() { diff <(printf '%s\n' ready "$@" | sort) <(sort "$WITNESS"); }

# only LINE...: these come, and nothing else has.
only() {
	wait_for 5 witnessed "$@" || {
		witnessed "$@"
		return 1
	}
	kill_and_wait KILL "$WITNESS_PID"
}

# from_guest SOURCES ADDR...
from_guest() {
	local sources=$1
	shift
	in_guest "$NETTOOL" forge -dev up0 -from "$sources" "$@"
}

# from_peer SOURCES [flags] ADDR...: to the host's link-layer address.
from_peer() {
	local sources=$1
	shift
	in_peer "$NETTOOL" forge -dev down0 -mac "$(link_address)" -from "$sources" "$@"
}

link_address() { in_host ip -o link show up0 | sed 's/.* link.ether \([^ ]*\) .*/\1/'; }

# to_loopback prints the sockets on the host that are connected to its loopback; those of
# datagrams stay for half a minute.
to_loopback() { in_host ss -Hnu 'dst 127.0.0.0/8 or dst [::1]'; }

# directly PORT: clients on the host's loopback, of both families and protocols.
directly() {
	# shellcheck disable=SC2016 # for the other shell
	in_host bash -ec 'for a in 127.0.0.1 ::1; do : >"/dev/tcp/$a/$0"; echo >"/dev/udp/$a/$0"; done' "$1"
}

@test "from the guest to the address that means the host's loopback" {
	guest_start "$WAY"
	witness in_host "127.0.0.1:$PORT" "[::1]:$PORT"
	from_guest "$NEVER" "$GATEWAY4:$PORT" "[$GATEWAY6]:$PORT"
	# The same from an address that the guest may have gets there, behind the others.
	from_guest "$HOST4,$HOST6" "$GATEWAY4:$PORT" "[$GATEWAY6]:$PORT"
	only "tcp 127.0.0.1" "udp 127.0.0.1" "tcp ::1" "udp ::1"
	[ "$(to_loopback | wc -l)" -eq 2 ]
	guest_stop
}

@test "from the guest to the host's loopback itself, and where nothing means that" {
	local host
	guest_start "$WAY" --no-map-gw -T 7001 -U 7001
	witness in_host "127.0.0.1:$PORT" "[::1]:$PORT" 127.0.0.1:7001 "[::1]:7001"
	host=$WITNESS_PID:$WITNESS
	witness in_peer "$PEER4:$PORT" "[$PEER6]:$PORT"
	for port in "$PORT" 7001; do
		from_guest "$NEVER,$OWN" "127.0.0.1:$port" "127.0.0.9:$port" "0.0.0.0:$port" "$HOST4:$port" "$GATEWAY4:$port" \
			"[::1]:$port" "[::]:$port" "[::ffff:127.0.0.1]:$port" "[::127.0.0.1]:$port" "[$HOST6]:$port" "[$GATEWAY6]:$port"
	done
	from_guest "$NEVER,$HOST4,$HOST6" "$PEER4:$PORT" "[$PEER6]:$PORT"
	only "tcp $HOST4" "udp $HOST4" "tcp $HOST6" "udp $HOST6"
	expect "" to_loopback
	WITNESS_PID=${host%%:*} WITNESS=${host#*:}
	directly "$PORT" # comes behind what might be on its way
	directly 7001
	only "tcp 127.0.0.1" "udp 127.0.0.1" "tcp ::1" "udp ::1" "tcp 127.0.0.1" "udp 127.0.0.1" "tcp ::1" "udp ::1"
	guest_stop
}

# Linux takes an unspecified destination, which such an answer would have, for its loopback.
@test "answers to packets from outside do not get to the host's loopback" {
	for way in "" --no-splice; do
		guest_start "$WAY" $way -t 6001 -u 6001
		serve in_guest "$HOST4:6001" "[$HOST6]:6001"
		witness in_host "127.0.0.1:$PORT" "[::1]:$PORT"
		from_peer "$NEVER" -port "$PORT" "$HOST4:6001" 127.0.0.1:6001 "[$HOST6]:6001" "[::1]:6001"
		in_peer "$NETTOOL" peer -udp "$HOST4:6001" # is answered behind those
		in_peer "$NETTOOL" peer -udp "[$HOST6]:6001"
		directly "$PORT"
		only "tcp 127.0.0.1" "udp 127.0.0.1" "tcp ::1" "udp ::1"
		guest_stop
	done
}

@test "from outside to a published port" {
	guest_start "$WAY" -t 6001 -u 6001
	witness in_guest "$HOST4:6001" "[$HOST6]:6001"
	from_peer "$NEVER" "$HOST4:6001" 127.0.0.1:6001 "[$HOST6]:6001" "[::1]:6001"
	from_peer "$PEER4,$PEER6" "$HOST4:6001" "[$HOST6]:6001"
	only "udp $PEER4" "udp $PEER6" # nobody answers the handshake for the peer
	guest_stop
}

# Such a client is another one than those of the bypass, which the guest sees with its
# own address.
@test "from outside, from the host's own addresses, to a published port" {
	guest_start "$WAY" -t 6001 -u 6001
	witness in_guest "$HOST4:6001" "[$HOST6]:6001"
	from_peer "$HOST4,$HOST6" "$HOST4:6001" 127.0.0.1:6001 "[$HOST6]:6001" "[::1]:6001"
	only "udp $GATEWAY4" "udp $GATEWAY4" "udp $GATEWAY6"
	guest_stop
}

@test "from outside to a port that leads to the guest's loopback" {
	for way in --host-lo-to-ns-lo --splice-only; do
		guest_start "$WAY" $way -t 6102 -u 6102
		witness in_guest 127.0.0.1:6102 "[::1]:6102"
		from_peer "$NEVER,$OWN" "$HOST4:6102" 127.0.0.1:6102 "[$HOST6]:6102" "[::1]:6102"
		directly 6102
		only "tcp 127.0.0.1" "udp 127.0.0.1" "tcp ::1" "udp ::1"
		guest_stop
	done
}
