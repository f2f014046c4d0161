# shellcheck shell=bash
# RootlessKit, run by an ordinary user of the machine: with subordinate IDs, hence with
# newuidmap, which a user namespace of the test would not let work. So these tests
# need root. Needs helpers.bash.
#
# kit_start sets:
#   KIT     the PID of RootlessKit
#   CHILD   that of the process in its namespaces
#   STATE   its state directory

# rootlesskit_setup: for setup_file. The links in $TOPO_DIR/path come first in PATH.
rootlesskit_setup() {
	local name
	[ "$(id -u)" -eq 0 ] || unable "these tests need root"
	network_start
	mkdir -m 755 "$TOPO_DIR/path"
	for name; do
		ln -s "$PASTA" "$TOPO_DIR/path/$name"
	done
	user_database
}

# user_database gives the user a name, before any other of the machine, and subordinate IDs
# in the host's mount namespace. By name: RootlessKit 1 counts those twice that are found
# by number.
user_database() {
	{ echo "rootless:x:$TOPO_UID:$TOPO_UID::/nonexistent:/bin/sh" && cat /etc/passwd; } >"$TOPO_DIR/passwd"
	echo "rootless:100000:65536" >"$TOPO_DIR/subid"
	chmod 644 "$TOPO_DIR/passwd" "$TOPO_DIR/subid"
	in_host sh -ec "
		mount --bind $TOPO_DIR/passwd /etc/passwd
		mount --bind $TOPO_DIR/subid /etc/subuid
		mount --bind $TOPO_DIR/subid /etc/subgid"
}

# rootlesskit_teardown: for teardown.
rootlesskit_teardown() {
	if [ -n "${KIT-}" ]; then
		kit_end
	fi
}

# as_rootless CMD...: in the host namespace as the ordinary user, whose user namespace
# is that of the machine.
as_rootless() {
	set -- nsenter -t "$(topo_pid host)" -n -m -- \
		setpriv --reuid "$TOPO_UID" --regid "$TOPO_UID" --clear-groups -- env "PATH=$TOPO_DIR/path:$PATH" "$@"
	[ -z "${TOPO_EXEC-}" ] || exec "$@"
	"$@"
}

# kit_start OPTIONS...: starts RootlessKit, KIT_BINARY if that is set, with a command that
# waits, in an /etc and a /run that are its own.
kit_start() {
	STATE=$TOPO_DIR/state.$RANDOM
	kit_start_in "$STATE" "$@" --copy-up=/etc --copy-up=/run
}

# kit_start_in STATE OPTIONS...: the same with these options only.
kit_start_in() {
	STATE=$1
	shift
	: >"$TOPO_DIR/kit.begin"
	background as_rootless "${KIT_BINARY:-$ROOTLESSKIT}" --state-dir="$STATE" "$@" sleep infinity >"$TOPO_DIR/kit.log" 2>&1
	KIT=$BG_PID
	if ! wait_for 10 test "$STATE/api.sock" -nt "$TOPO_DIR/kit.begin"; then
		cat "$TOPO_DIR/kit.log" >&2
		return 1
	fi
	CHILD=$(cat "$STATE/child_pid")
	wait_for 5 command_runs # the child configures the interface after that
}

# command_runs prints the PID of RootlessKit's command.
command_runs() { pgrep -P "$CHILD" -x sleep; }

# kit_end ends RootlessKit: pasta follows, and the state is removed.
kit_end() {
	kill_and_wait TERM "$KIT"
	KIT=
	wait_for 5 no_strays
	[ ! -e "$STATE" ]
}

ctl() { as_rootless "$ROOTLESSCTL" --socket "$STATE/api.sock" "$@"; }

# ctl_first ARGS...: the line about the first port.
ctl_first() { ctl "$@" | grep '"id":1,'; }

in_child() { as_rootless nsenter -t "$CHILD" -U -n --preserve-credentials -- "$@"; }

# in_detached: the same with --detach-netns.
in_detached() {
	as_rootless nsenter -t "$CHILD" -U --preserve-credentials "--net=/proc/$CHILD/root$STATE/netns" -- "$@"
}

# from_peer PORT: what the peer gets when it connects to that port of the host.
from_peer() { in_peer "$NETTOOL" connect -timeout 5s "$HOST4:$1"; }

# from_host PORT: what the host itself gets at its loopback address.
from_host() { as_rootless "$NETTOOL" connect -timeout 5s "127.0.0.1:$1"; }
