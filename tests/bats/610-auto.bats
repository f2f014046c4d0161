# shellcheck shell=bash
# Automatic forwards: a service is reachable from the other side within a scan of
# being opened, until it is closed.

load helpers

setup_file() {
	network_start
	guest_start "$WAY"
	guest_save
}

teardown_file() { network_stop; }

setup() { guest_load; }

# ports PROTO WHERE: ports that something listens on, sorted.
ports() { "$2" ss -Hln "--$1" | awk '{ sub(".*:", "", $4); print $4 }' | sort -n | uniq; }

# within MS CMD...: CMD succeeds before so many milliseconds are over.
within() {
	local end=$(($(date +%s%N) / 1000000 + $1))
	shift
	until "$@"; do
		[ $(($(date +%s%N) / 1000000)) -lt "$end" ] || return 1
		sleep 0.02
	done
}

# answers WHERE ADDR: a connection from there succeeds.
answers() { [ "$("$1" "$NETTOOL" connect -timeout 1s "$2")" = ok ]; }

refuses() { [ "$("$1" "$NETTOOL" connect -timeout 1s "$2")" = ECONNREFUSED ]; }

@test "a service in the namespace is reachable at the host within 1.5 s, and gone when it ends" {
	serve in_guest "[::]:6100"
	within 1500 answers in_peer "$HOST4:6100"
	answers in_peer "[$HOST6]:6100"
	in_peer "$NETTOOL" udp-echo -count 5 "$HOST4:6100"
	kill_and_wait KILL "$BG_PID"
	wait_for 3 refuses in_peer "$HOST4:6100"
}

@test "a service on the host is reachable at the namespace's loopback, and gone when it ends" {
	serve in_host 127.0.0.1:6200 "[::1]:6200"
	within 1500 answers in_guest 127.0.0.1:6200
	answers in_guest "[::1]:6200"
	kill_and_wait KILL "$BG_PID"
	wait_for 3 refuses in_guest 127.0.0.1:6200
}

@test "both directions at once do not follow each other" {
	local guest host
	serve in_guest 0.0.0.0:6301
	guest=$BG_PID
	serve in_host 127.0.0.1:6302
	host=$BG_PID
	within 1500 answers in_peer "$HOST4:6301"
	within 1500 answers in_guest 127.0.0.1:6302
	kill_and_wait KILL "$guest"
	kill_and_wait KILL "$host"
	wait_for 3 no_port tcp in_host 6301
	wait_for 3 no_port tcp in_guest 6302
	no_port tcp in_host 6302
	no_port tcp in_guest 6301
	sleep 1.2 # and no scan brings them back
	no_port tcp in_host 6301
	no_port tcp in_guest 6302
}

# no_port PROTO WHERE PORT: nothing listens there on it.
no_port() { ! ports "$1" "$2" | grep -qx "$3"; }

@test "ephemeral ports are left alone" {
	local first
	first=$(awk '{ print $1 + 100 }' /proc/sys/net/ipv4/ip_local_port_range)
	serve in_guest "0.0.0.0:$first"
	serve in_guest 0.0.0.0:6400
	within 1500 answers in_peer "$HOST4:6400"
	refuses in_peer "$HOST4:$first"
}

@test "what is there already is reachable when pasta returns" {
	guest_namespace
	in_guest ip link set lo up
	serve in_guest 0.0.0.0:6500
	as_user "$PASTA" -q --config-net -T none -U none --pid "$TOPO_DIR/early.pid" "$GUEST_PID" 3>&-
	PASTA_PID=$(cat "$TOPO_DIR/early.pid")
	topo_record "$PASTA_PID"
	answers in_peer "$HOST4:6500"
	guest_stop
}

@test "a service of the namespace that uses a port of the host has to wait for it" {
	local host
	guest_start "$WAY" -T none -U none # else the port would soon be taken there, too
	serve in_host "$HOST4:6600"
	host=$BG_PID
	serve in_guest 127.0.0.1:6600
	sleep 1.2
	kill_and_wait KILL "$host"
	wait_for 3 answers in_host 127.0.0.1:6600
	guest_stop
}

@test "services on a loopback that are followed stay out of reach from outside" {
	serve in_guest 127.0.0.1:6700 "[::1]:6700"
	serve in_host 127.0.0.1:6701 "[::1]:6701"
	wait_for 3 open_port in_host 6700
	wait_for 3 answers in_guest 127.0.0.1:6701
	for address in "$HOST4:670" "[$HOST6]:670"; do
		closed in_peer "${address}0"
		closed in_peer "${address}1"
		closed in_guest "${address}1"
	done
	closed in_host 127.0.0.1:6700
}

# open_port WHERE PORT: something listens there on all addresses.
open_port() { "$1" ss -Hltn "sport = :$2" | grep -q '\*:'; }

@test "--host-lo-to-ns-lo: they are in reach of the other loopback alone" {
	guest_start "$WAY" --host-lo-to-ns-lo -t auto -u auto -T auto -U auto
	serve in_guest 127.0.0.1:6800 "[::1]:6800"
	serve in_host 127.0.0.1:6801 "[::1]:6801"
	wait_for 3 answers in_host 127.0.0.1:6800
	wait_for 3 answers in_guest 127.0.0.1:6801
	answers in_host "[::1]:6800"
	answers in_guest "[::1]:6801"
	for address in "$HOST4:680" "[$HOST6]:680"; do
		closed in_peer "${address}0"
		closed in_peer "${address}1"
		closed in_host "${address}0"
		closed in_guest "${address}1"
	done
	guest_stop
}
