# shellcheck shell=bash
# Loaded by every bats file: the test network (lib/topology.bash), guests in it
# (lib/guest.bash), and transfers between the two. Tests of processes load
# lib/process.bash as well. Start a new file from 000-TEMPLATE.
#
# Environment:
#   PASTA    binary under test (bin/pasta)
#   WAY      way of attaching for files 4xx: spawn (default), pid, outside, inside;
#            in 1xx to 3xx the way is part of what each test is about
#   TOPO_CC  congestion control of all namespaces (cubic)
#   PASTA_REQUIRE_NETNS=1  fail where a test would be skipped for want of something

LIB=$(dirname "${BASH_SOURCE[0]}")/lib
# shellcheck source=lib/topology.bash
. "$LIB/topology.bash"
# shellcheck source=lib/guest.bash
. "$LIB/guest.bash"

WAY=${WAY:-spawn}
OUT_PORT=5001 # test server in the peer
IN_PORT=6001  # test server in the guest, forwarded from the host
export LARGE=100000000

# unable REASON...: skip the test, or fail where everything has to be there.
unable() {
	[ "${PASTA_REQUIRE_NETNS-}" = 1 ] || skip "$*"
	echo "this test needs more: $*" >&2
	return 1
}

# network_start: for setup_file. Starts the network and the server in the peer.
network_start() {
	(unprivileged unshare --user --map-root-user --net true) || unable "no user namespaces here"
	topo_start
	tools_readable
	serve in_peer "$PEER4:$OUT_PORT" "[$PEER6]:$OUT_PORT"
}

# network_stop: for teardown_file. Ends the guest that setup_file saved, then
# fails if something was left behind in the host namespace.
network_stop() {
	local result=0
	[ -n "${TOPO_DIR-}" ] || return 0 # it has not come that far
	if [ -e "$TOPO_DIR/guest" ]; then
		guest_load
		guest_stop || result=1
	fi
	if ! wait_for 2 no_strays; then
		strays | xargs -r ps -o pid,args -p >&2
		strays | xargs -r kill -KILL
		result=1
	fi
	topo_stop
	return "$result"
}

# strays prints the PIDs in the host namespace that nobody has recorded.
strays() {
	local pid
	for pid in $(topo_inhabitants); do
		grep -q "^$pid " "$TOPO_DIR/processes" || echo "$pid"
	done
}

no_strays() { [ -z "$(strays)" ]; }

# guest_with_server OPTIONS...: a guest with the test server in it, reachable
# from the peer at the host's addresses.
guest_with_server() {
	guest_start "$WAY" -t "$IN_PORT" -u "$IN_PORT" "$@"
	serve in_guest "$HOST4:$IN_PORT" "[$HOST6]:$IN_PORT"
}

# endpoint DIRECTION FAMILY: the server's address for clients of that direction.
endpoint() {
	case "$1 $2" in
	"out IPv4") echo "$PEER4:$OUT_PORT" ;;
	"out IPv6") echo "[$PEER6]:$OUT_PORT" ;;
	"in IPv4") echo "$HOST4:$IN_PORT" ;;
	"in IPv6") echo "[$HOST6]:$IN_PORT" ;;
	*) echo "endpoint: unknown $*" >&2 && return 1 ;;
	esac
}

# client DIRECTION FAMILY SUBCOMMAND [flags]: run a nettool client.
client() {
	local direction=$1 family=$2 where=in_guest
	shift 2
	[ "$direction" = out ] || where=in_peer
	"$where" "$NETTOOL" "$@" "$(endpoint "$direction" "$family")"
}

# named WORDS...: print the one of WORDS that occurs in the name of the test.
named() {
	local word
	for word; do
		if [[ " ${BATS_TEST_DESCRIPTION//[,:]/ } " == *" $word "* ]]; then
			echo "$word"
			return
		fi
	done
	echo "test name has none of: $*" >&2
	return 1
}

# client_as_named SUBCOMMAND [flags]: client, with direction and family taken
# from the name of the test.
client_as_named() { client "$(named in out)" "$(named IPv4 IPv6)" "$@"; }

# same_as_host SUBCOMMAND ARGS...: the guest must see what the host sees.
same_as_host() {
	local host guest
	host=$(as_user "$NETTOOL" "$@")
	guest=$(in_guest "$NETTOOL" "$@")
	if [ "$host" != "$guest" ]; then
		echo "nettool $*: host sees $host, guest sees $guest" >&2
		return 1
	fi
	echo "$guest"
}

# expect WANT CMD...: the output of CMD must be WANT.
expect() {
	local want=$1 got
	shift
	got=$("$@")
	if [ "$got" != "$want" ]; then
		echo "$*: got '$got', want '$want'" >&2
		return 1
	fi
}

# fails_with TEXT CMD...: CMD must exit 1 and say TEXT.
fails_with() {
	local text=$1
	shift
	run "$@"
	# shellcheck disable=SC2154 # set by run
	echo "status $status, output: $output"
	[ "$status" -eq 1 ] && [[ "$output" == *"$text"* ]]
}

# closed WHERE ADDR: no service answers there, whatever the protocol.
closed() {
	[ "$("$1" "$NETTOOL" connect -timeout 3s "$2")" != ok ] || answers_nothing "$1" "$2"
	[ "$("$1" "$NETTOOL" connect -udp -timeout 3s "$2")" != ok ]
}

# answers_nothing WHERE ADDR: a connection is accepted, but no service is behind it.
answers_nothing() { ! "$1" "$NETTOOL" up -size 1 -timeout 3s "$2"; }

# ticks: processor time of the daemon in clock ticks.
ticks() { awk '{ print $14 + $15 }' "/proc/$PASTA_PID/stat"; }

# still: the daemon used no time for a moment.
still() {
	local before
	before=$(ticks)
	sleep 0.3
	[ "$(ticks)" = "$before" ]
}
