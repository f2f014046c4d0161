# shellcheck shell=bash
# Forwards of a running pasta are shown and changed by pesto.

load helpers

setup_file() {
	network_start
	ln -s "$PASTA" "$TOPO_DIR/pesto"
	guest_start "$WAY" -t none -u none -T none -U none -c "$TOPO_DIR/conf"
	serve in_guest "$HOST4:$IN_PORT" "[$HOST6]:$IN_PORT"
	serve in_host 127.0.0.1:7001 "[::1]:7001"
	guest_save
}

teardown_file() { network_stop; }

setup() {
	guest_load
	pesto -C HOST -C SPLICE
}

pesto() { as_user "$TOPO_DIR/pesto" "$@" "$TOPO_DIR/conf"; }

# tables HOST SPLICE: the tables hold these lines.
tables() {
	local want
	want="passt/pasta configuration ($TOPO_DIR/conf)
  HOST
${1:+$1
}  SPLICE${2:+
$2}"
	expect "$want" pesto
}

# from_peer PORT: what the peer gets when it connects to that port of the host.
from_peer() { in_peer "$NETTOOL" connect -timeout 5s "$HOST4:$1"; }

@test "the socket is its owner's" {
	expect 600 as_user stat -c %a "$TOPO_DIR/conf"
}

@test "no forwards, then one, then none" {
	tables "" ""
	expect ECONNREFUSED from_peer 8080
	pesto -A -t "8080:$IN_PORT"
	tables "    TCP [*]:8080  =>  $IN_PORT " ""
	expect ok from_peer 8080
	pesto -D -t "8080:$IN_PORT"
	tables "" ""
	expect ECONNREFUSED from_peer 8080
}

@test "UDP, too" {
	pesto -A -u "8080:$IN_PORT"
	in_peer "$NETTOOL" udp-echo -count 10 "$HOST4:8080"
	pesto -t none
	tables "" ""
}

@test "connections outlive their forward" {
	pesto -t "8080:$IN_PORT"
	mkfifo "$TOPO_DIR/hold"
	in_peer "$NETTOOL" hold -count 5 "$HOST4:8080" <"$TOPO_DIR/hold" >"$TOPO_DIR/held" 2>&1 3>&- &
	exec 9>"$TOPO_DIR/hold"
	wait_for 5 grep -q . "$TOPO_DIR/held"
	pesto -t none
	expect ECONNREFUSED from_peer 8080
	exec 9>&-
	wait $!
}

@test "auto leaves out the same ports as at start" {
	local first last
	read -r first last </proc/sys/net/ipv4/ip_local_port_range
	pesto -A -t auto
	tables "    TCP [*]:1-$((first - 1))  =>  1-$((first - 1)) (best effort) (auto-scan)
    TCP [*]:$((last + 1))-65535  =>  $((last + 1))-65535 (best effort) (auto-scan)" ""
	wait_for 3 answers "$IN_PORT"
	pesto -D -t auto
	tables "" ""
}

# answers PORT: the peer can connect to that port of the host.
answers() { [ "$(from_peer "$1")" = ok ]; }

@test "from the namespace's loopback to the host's" {
	pesto -T 9000:7001
	tables "" "    TCP [*]%lo:9000  =>  7001 "
	expect "127.0.0.1" peer_of 127.0.0.1:9000
	expect "[::1]" peer_of "[::1]:9000"
	pesto -D -T 9000:7001
	expect ECONNREFUSED in_guest "$NETTOOL" connect 127.0.0.1:9000
}

# peer_of ADDR: the address that the server there sees.
peer_of() {
	local seen
	seen=$(in_guest "$NETTOOL" peer "$1") && echo "${seen%:*}"
}

@test "errors change nothing" {
	pesto -t 8000-8010
	fails_with "Forwarding configuration conflict: TCP [*]:8005  =>  8005 versus TCP [*]:8000-8010  =>  8000-8010
Unable to add rule TCP [*]:8005  =>  8005" pesto -A -t 9000 -t 8005
	fails_with "Specifier TCP [*]:8005  =>  8005 conflicts with rule TCP [*]:8000-8010  =>  8000-8010, but doesn't match it, can't delete
Unable to delete rule TCP [*]:8005  =>  8005" pesto -A -t 9000 -D -t 8005
	fails_with "Couldn't find forwarding rule to delete: TCP [*]:1234  =>  1234
Unable to delete rule TCP [*]:1234  =>  1234" pesto -D -t 1234
	fails_with "Unsupported pif name TAP" pesto -C TAP
	tables "    TCP [*]:8000-8010  =>  8000-8010 " ""
}

@test "a port that cannot be opened is told, and kept" {
	serve in_host "$HOST4:8081"
	run pesto -A -t 8081
	[ "$status" -eq 0 ]
	[ "$output" = "Listen failed for HOST TCP port */8081: Address already in use" ]
	tables "    TCP [*]:8081  =>  8081 " ""
	kill_and_wait KILL "$BG_PID"
	wait_for 10 opened 8081
}

# opened PORT: something on the host listens there.
opened() { [ -n "$(in_host ss -Hltn "sport = :$1")" ]; }

@test "before and after, and JSON" {
	run pesto -s -t 8080
	[ "$output" = "Previous configuration ($TOPO_DIR/conf)
  HOST
  SPLICE
Updated configuration ($TOPO_DIR/conf)
  HOST
    TCP [*]:8080  =>  8080 
  SPLICE" ]
	pesto --json | grep -q '"first": 8080'
}

@test "the guest has no say" {
	run in_guest "$TOPO_DIR/pesto" "$TOPO_DIR/conf"
	[ "$status" -eq 1 ]
	run in_guest unshare --net "$TOPO_DIR/pesto" "$TOPO_DIR/conf"
	[ "$status" -eq 1 ]
	tables "" ""
}

# greeted N: that many clients are, or have been, served.
greeted() { [ "$(find "$TOPO_DIR" -name 'hello.*' -size +0 | wc -l)" -eq "$1" ]; }

@test "clients that say nothing hold nobody up" {
	local silent=() begun
	for i in {1..40}; do # more than are served at a time
		background as_user socat -u "UNIX-CONNECT:$TOPO_DIR/conf" "CREATE:$TOPO_DIR/hello.$i"
		silent+=("$BG_PID")
	done
	wait_for 10 greeted 40
	begun=$SECONDS
	pesto -A -t 8080
	tables "    TCP [*]:8080  =>  8080 " ""
	[ $((SECONDS - begun)) -lt 4 ] # their time is 5 s
	for i in "${silent[@]}"; do
		kill_and_wait TERM "$i"
	done
}

@test "a second run cannot take the socket of a first" {
	guest_namespace
	fails_with "Failed to bind UNIX domain socket: Address already in use" \
		as_user "$PASTA" -c "$TOPO_DIR/conf" "$GUEST_PID"
	kill_and_wait KILL "$GUEST_PID"
}
