# shellcheck shell=bash
# Ten thousand connections held at the same time through one forward, by one daemon that
# may have 20,000 descriptors, and what is left of them.

load helpers

LIMIT=20000 # what the daemon may have open
PORT=6001

setup_file() {
	[ "$(ulimit -Hn)" -ge "$LIMIT" ] || unable "a limit of $LIMIT open files"
	network_start
	mkfifo "$TOPO_DIR/hold"
	chmod 666 "$TOPO_DIR/hold"
	(
		ulimit -n "$LIMIT"
		guest_start pid -t "$PORT" -T 7001
		guest_save
	)
	guest_load
	serve_by serve-lean in_guest "$HOST4:$PORT" "[$HOST6]:$PORT"
	serve_by serve-lean in_host "[::1]:7001"
}

teardown_file() { network_stop; }

setup() { guest_load; }

teardown() { [ -z "${CLIENT-}" ] || kill_and_wait KILL "$CLIENT"; }

# descriptors [PATTERN]: how many the daemon has open, of those that point to PATTERN.
descriptors() { in_host find "/proc/$PASTA_PID/fd" -mindepth 1 -lname "${1-*}" | wc -l; }

# hold COUNT WHERE ADDR [flags]: a client that has them until it is released.
hold() {
	local count=$1 where=$2 addr=$3
	shift 3
	background holder "$where" -count "$count" "$@" "$addr"
	CLIENT=$BG_PID
}

# holder WHERE ARGS...: its input ends when nobody has the pipe open for writing.
holder() {
	local where=$1
	shift
	"$where" "$NETTOOL" hold -timeout 300s "$@" <"$TOPO_DIR/hold" >"$TOPO_DIR/held" 2>&1
}

# before: the state that all goes back to, with what the daemon keeps for the next ones.
before() {
	"$1" "$NETTOOL" hold -count 100 "$2" </dev/null
	wait_for 10 resting
	SOCKETS=$(descriptors 'socket:*') PIPES=$(descriptors 'pipe:*')
}

# as_before: but for half of the stock of sockets, and four pipes that may be kept.
as_before() {
	[ "$(descriptors 'socket:*')" -le $((SOCKETS + 32)) ] && [ "$(descriptors 'pipe:*')" -le $((PIPES + 8)) ]
}

# awake prints for how long threads of the daemon have run or wanted to, in nanoseconds: on
# a busy machine, one that spins gets little time.
awake() { cat /proc/"$PASTA_PID"/task/*/schedstat | awk '{ n += $1 + $2 } END { printf "%.0f\n", n }'; }

# resting: the daemon sleeps nearly all of a second.
resting() {
	local before
	before=$(awake)
	sleep 1 # the measured time
	[ $(($(awake) - before)) -le 400000000 ]
}

# all_held COUNT SOCKETS WHERE ADDR: so many connections, for each of which the daemon has
# so many sockets, are answered, are held without work, are answered again, and go.
all_held() {
	local count=$1 each=$2 where=$3 addr=$4 held
	before "$where" "$addr"
	exec 9<>"$TOPO_DIR/hold"
	hold "$count" "$where" "$addr"
	wait_for 200 grep -q "^held $count " "$TOPO_DIR/held"
	wait_for 10 resting
	held=$(($(descriptors 'socket:*') - SOCKETS))
	echo "$held more sockets, $(($(descriptors 'pipe:*') - PIPES)) more pipes"
	[ "$held" -ge $((count * each - 64)) ] && [ "$held" -le $((count * each + 64)) ]
	[ "$(descriptors 'pipe:*')" -le $((PIPES + 8)) ] # for connections that do nothing
	exec 9>&-
	wait_for 100 grep -qx "answered $count" "$TOPO_DIR/held"
	wait_for 20 as_before
	wait_for 10 resting
}

@test "10,000 connections across the interface, IPv4" { all_held 10000 1 in_peer "$HOST4:$PORT"; }
@test "10,000 connections across the interface, IPv6" { all_held 10000 1 in_peer "[$HOST6]:$PORT"; }

# These take two sockets each, of 20,000.
@test "9,800 connections past the interface, from the host, IPv4" { all_held 9800 2 in_host "127.0.0.1:$PORT"; }
@test "9,800 connections past the interface, from the namespace, IPv6" { all_held 9800 2 in_guest "[::1]:7001"; }

# full: connections have come to what is kept from them, and stay there.
full() {
	local n
	n=$(descriptors)
	sleep 0.3
	[ "$n" -ge $((LIMIT - 160)) ] && [ "$(descriptors)" -eq "$n" ]
}

# works ADDR: a connection past the interface.
works() { in_host "$NETTOOL" hold -timeout 5s -count 1 "$1" </dev/null; }

@test "more connections past the interface than there are descriptors for" {
	before in_host "127.0.0.1:$PORT"
	exec 9<>"$TOPO_DIR/hold"
	hold 10500 in_host "127.0.0.1:$PORT" -some
	wait_for 200 full
	[ "$(descriptors)" -lt "$LIMIT" ]
	wait_for 5 resting # those that wait are looked after ten times a second
	run works "127.0.0.1:$PORT"
	[ "$status" -ne 0 ]
	exec 9>&-
	kill_and_wait KILL "$CLIENT"
	CLIENT=
	wait_for 20 as_before
	works "127.0.0.1:$PORT"
	wait_for 5 resting
}
