# shellcheck shell=bash
# Guests: namespaces connected by pasta in one of the ways of attaching, and
# the processes in them. Needs topology.bash.
#
# guest_start sets, and guest_save keeps for the tests of a file (guest_load):
#   GUEST_PID   a process in the guest's namespaces
#   PASTA_PID   the process that serves it

# PASTA is the binary under test, NETTOOL the helper (tests/tools/nettool),
# ROOTLESSKIT and ROOTLESSCTL are RootlessKit's own (make bin/rootlesskit),
# ROOTLESSKIT1 is the last release of its first series (make bin/rootlesskit1).
REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
PASTA=${PASTA:-$REPO/bin/pasta}
NETTOOL=${NETTOOL:-$REPO/bin/nettool}
ROOTLESSKIT=${ROOTLESSKIT:-$REPO/bin/rootlesskit}
ROOTLESSCTL=${ROOTLESSCTL:-$REPO/bin/rootlessctl}
ROOTLESSKIT1=${ROOTLESSKIT1:-$REPO/bin/rootlesskit1}

# tools_readable copies binaries that the ordinary user cannot reach (a clone in
# root's home directory).
tools_readable() {
	local name path
	for name in PASTA NETTOOL ROOTLESSKIT ROOTLESSCTL ROOTLESSKIT1; do
		path=${!name}
		if ! (unprivileged test -x "$path") && [ -x "$path" ]; then
			mkdir -p "$TOPO_DIR/bin"
			cp "$path" "$TOPO_DIR/bin/"
			printf -v "$name" %s "$TOPO_DIR/bin/$(basename "$path")"
		fi
	done
	export PASTA NETTOOL ROOTLESSKIT ROOTLESSCTL ROOTLESSKIT1
}

# in_guest CMD...: run CMD as user 0 of the guest.
in_guest() { enter_guest "$GUEST_PID" "$@"; }

# enter_guest PID CMD...: like enter, but the mount namespace stays ours, so that
# files of the test are at the same place.
enter_guest() {
	local pid=$1
	shift
	run_or_exec nsenter -t "$pid" -U -n --preserve-credentials -- "$@"
}

# detached CMD...: CMD without descriptor 3 of bats, for what leaves a daemon. (Behind
# the call itself, "3>&-" would still hold when bats wants to report a failure.)
detached() { ("$@") 3>&-; }

# enter_host_network PID CMD...: in PID's user and mount namespaces, but in the
# host's network: where a rootless engine runs pasta.
enter_host_network() {
	local pid=$1
	shift
	as_user nsenter -t "$pid" -U -m --preserve-credentials -- "$@"
}

# guest_start WAY [pasta options]: WAY is one of
#   spawn    pasta OPTIONS -- CMD
#   pid      pasta OPTIONS PID
#   outside  pasta OPTIONS --userns U --netns N, from outside the user namespace
#   inside   pasta OPTIONS --netns N, from inside, as rootless engines do
guest_start() {
	local way=$1
	shift
	case $way in
	spawn) guest_spawn "$@" ;;
	pid | outside | inside) guest_attach "$way" "$@" ;;
	*) echo "guest_start: unknown way $way" >&2; return 1 ;;
	esac
	enter_guest "$GUEST_PID" sh -c "
		echo $TOPO_CC >/proc/sys/net/ipv4/tcp_congestion_control
		echo 1 >/proc/sys/net/ipv4/tcp_syn_retries" 2>/dev/null || true
}

guest_save() { printf 'GUEST_PID=%s\nPASTA_PID=%s\n' "$GUEST_PID" "$PASTA_PID" >"$TOPO_DIR/guest"; }

# guest_load finds the guest again that setup_file started.
guest_load() {
	# shellcheck source=/dev/null
	. "$TOPO_DIR/guest"
}

# guest_spawn: the command starts only when the network is ready, so waiting for
# it is enough. It is found from outside its PID namespace by its unique argument.
guest_spawn() {
	local mark="$$$RANDOM.$RANDOM"
	background as_user "$PASTA" --config-net "$@" -- sleep "$mark" 2>"$TOPO_DIR/pasta.err"
	PASTA_PID=$BG_PID
	if ! wait_for 10 guest_find "$mark"; then
		cat "$TOPO_DIR/pasta.err" >&2
		return 1
	fi
	GUEST_PID=$(guest_find "$mark")
	topo_record "$GUEST_PID"
}

guest_find() { pgrep -fx "sleep $1"; }

# guest_namespace makes an unconnected guest and sets GUEST_PID.
guest_namespace() {
	rm -f "$TOPO_DIR/guest.ready"
	background as_user unshare --user --map-root-user --net --mount \
		sh -c "echo ready >'$TOPO_DIR/guest.ready'; exec sleep infinity"
	GUEST_PID=$BG_PID
	wait_for 5 test -s "$TOPO_DIR/guest.ready"
}

guest_attach() {
	local way=$1 pidfile="$TOPO_DIR/daemon.$RANDOM.pid"
	shift
	guest_namespace
	set -- "$PASTA" --config-net --pid "$pidfile" "$@"
	case $way in
	pid) as_user "$@" "$GUEST_PID" ;;
	outside) as_user "$@" --userns "/proc/$GUEST_PID/ns/user" --netns "/proc/$GUEST_PID/ns/net" ;;
	inside) as_user nsenter -t "$GUEST_PID" -U --preserve-credentials -- \
		"$@" --netns "/proc/$GUEST_PID/ns/net" ;;
	esac >"$TOPO_DIR/pasta.err" 2>&1 3>&- || { cat "$TOPO_DIR/pasta.err" >&2; return 1; }
	PASTA_PID=$(cat "$pidfile")
	topo_record "$PASTA_PID"
}

# guest_stop ends the guest and waits until pasta has followed.
guest_stop() {
	kill_and_wait KILL "$GUEST_PID"
	if ! wait_for 5 gone "$PASTA_PID"; then
		kill_and_wait KILL "$PASTA_PID"
		return 1
	fi
}

# guest_end: for teardown. Ends what a failed test left of its guest.
guest_end() {
	local pid
	for pid in "${GUEST_PID-}" "${PASTA_PID-}"; do
		[ -z "$pid" ] || kill_and_wait KILL "$pid"
	done
}

# serve WHERE ADDR...: run the test server in WHERE (in_peer, in_guest, in_host)
# until topo_stop; returns when it listens. Sets BG_PID.
serve() { serve_by serve "$@"; }

# serve_by SUBCOMMAND WHERE ADDR...: the same by another of nettool's servers.
serve_by() {
	local subcommand=$1 where=$2 out
	shift 2
	out=$(mktemp "$TOPO_DIR/serve.XXXXXX")
	background "$where" "$NETTOOL" "$subcommand" "$@" >"$out"
	wait_for 5 grep -q ready "$out"
}

# resolver WHERE ADDR IP: a DNS server that answers every question with IP.
resolver() {
	local where=$1 out
	shift
	out=$(mktemp "$TOPO_DIR/dns.XXXXXX")
	background "$where" "$NETTOOL" dns-serve "$@" >"$out"
	wait_for 5 grep -q ready "$out"
}
