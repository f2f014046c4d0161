# shellcheck shell=bash
# RootlessKit itself runs pasta for its network and pesto for its ports, as an
# ordinary user of the machine: with subordinate IDs, hence with newuidmap, which
# a user namespace of the test would not let work.
# bats file_tags=root

load helpers

setup_file() {
	[ "$(id -u)" -eq 0 ] || unable "these tests need root"
	network_start
	mkdir -m 755 "$TOPO_DIR/path"
	ln -s "$PASTA" "$TOPO_DIR/path/pasta"
	ln -s "$PASTA" "$TOPO_DIR/path/pesto"
	user_database
}

teardown_file() { network_stop; }

# user_database gives the user a name and subordinate IDs in the host's mount
# namespace.
user_database() {
	{ cat /etc/passwd && echo "rootless:x:$TOPO_UID:$TOPO_UID::/nonexistent:/bin/sh"; } >"$TOPO_DIR/passwd"
	echo "$TOPO_UID:100000:65536" >"$TOPO_DIR/subid"
	chmod 644 "$TOPO_DIR/passwd" "$TOPO_DIR/subid"
	in_host sh -ec "
		mount --bind $TOPO_DIR/passwd /etc/passwd
		mount --bind $TOPO_DIR/subid /etc/subuid
		mount --bind $TOPO_DIR/subid /etc/subgid"
}

teardown() {
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

# kit PORT_DRIVER [OPTIONS]: starts RootlessKit, sets KIT to its PID and CHILD to that
# of the process in its namespaces.
kit() {
	STATE=$TOPO_DIR/state.$RANDOM
	background as_rootless "$ROOTLESSKIT" --state-dir="$STATE" --net=pasta --port-driver="$1" "${@:2}" \
		--copy-up=/etc --copy-up=/run sleep infinity >"$TOPO_DIR/kit.log" 2>&1
	KIT=$BG_PID
	if ! wait_for 10 test -S "$STATE/api.sock"; then
		cat "$TOPO_DIR/kit.log" >&2
		return 1
	fi
	CHILD=$(cat "$STATE/child_pid")
}

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

@test "pesto: TCP and UDP until the ports are removed" {
	kit pesto --disable-host-loopback
	serve in_child 10.0.2.100:80
	expect ECONNREFUSED from_peer 8080
	expect "1
2" ctl add-ports ":8080:80/tcp" "$HOST4:5353:80/udp"
	expect ok from_peer 8080
	expect ok from_host 8080
	in_peer "$NETTOOL" udp-echo -count 10 "$HOST4:5353"
	expect '{"id":1,"spec":{"proto":"tcp","parentPort":8080,"childPort":80}}' ctl_first list-ports --json
	expect 1 ctl remove-ports 1
	expect ECONNREFUSED from_peer 8080
	expect ECONNREFUSED from_host 8080
	in_peer "$NETTOOL" udp-echo -count 10 "$HOST4:5353"
	expect 3 ctl add-ports "$HOST4:8080:80/tcp4" # at once
	expect ok from_peer 8080
}

@test "pesto: the server sees the client" {
	kit pesto
	serve in_child 10.0.2.100:80
	ctl add-ports ":8080:80/tcp"
	run in_peer "$NETTOOL" peer "$HOST4:8080"
	echo "$output"
	[[ $output == "$GATEWAY4:"* ]]
}

@test "pesto: what cannot be added" {
	kit pesto
	ctl add-ports ":8080:80/tcp"
	fails_with "conflict with ID 1" ctl add-ports ":8080:81/tcp"
	fails_with "Forwarding configuration conflict" ctl add-ports "127.0.0.1:8080:81/tcp"
	fails_with "unsupported IP: ::1" ctl add-ports "[::1]:8081:81/tcp"
	expect 1 jq .id <(ctl list-ports --json)
}

@test "pesto: info" {
	kit pesto --ipv6
	expect '"pasta"' jq .networkDriver.driver <(ctl info --json)
	expect '"10.0.2.100"' jq .networkDriver.childIP <(ctl info --json)
	expect '"pesto"' jq .portDriver.driver <(ctl info --json)
}

@test "pesto: the network leads out" {
	serve in_host 127.0.0.1:7001
	kit pesto --disable-host-loopback
	expect ok in_child "$NETTOOL" connect "$PEER4:$OUT_PORT"
	expect ENETUNREACH in_child "$NETTOOL" connect 10.0.2.2:7001
	kit_end
	kit pesto --ipv6
	expect ok in_child "$NETTOOL" connect "[$PEER6]:$OUT_PORT"
	expect ok in_child "$NETTOOL" connect 10.0.2.2:7001
}

@test "pesto: a detached network namespace" {
	kit pesto --detach-netns
	serve in_detached 10.0.2.100:80
	ctl add-ports ":8080:80/tcp"
	expect ok from_peer 8080
	expect ok in_detached "$NETTOOL" connect "$PEER4:$OUT_PORT"
}

@test "pesto: the end of the command is the end of all" {
	kit pesto
	wait_for 5 command_runs
	kill_and_wait KILL "$(command_runs)"
	wait_for 5 gone "$KIT"
	KIT=
	wait_for 5 no_strays
}

# command_runs prints the PID of RootlessKit's command.
command_runs() { pgrep -P "$CHILD" -x sleep; }

@test "implicit: ports follow the services in the namespace" {
	kit implicit --disable-host-loopback
	serve in_child 0.0.0.0:8080
	wait_for 3 reachable 8080
	expect ok from_peer 8080
	kill_and_wait KILL "$BG_PID"
	wait_for 3 unreachable 8080
	fails_with "no PortDriver is available" ctl list-ports
}

@test "implicit: services on the namespace's loopback are the host's loopback's" {
	kit implicit
	serve in_child 127.0.0.1:8080
	wait_for 3 reachable 8080
	run in_peer "$NETTOOL" peer "$HOST4:8080"
	echo "$output"
	[ "$status" -ne 0 ]
}

reachable() { [ "$(from_host "$1")" = ok ]; }
unreachable() { [ "$(from_host "$1")" = ECONNREFUSED ]; }

@test "none: the network leads out, and nothing in" {
	kit none --disable-host-loopback
	serve in_child 0.0.0.0:8080
	expect ok in_child "$NETTOOL" connect "$PEER4:$OUT_PORT"
	expect ECONNREFUSED from_peer 8080
	fails_with "no PortDriver is available" ctl add-ports ":8080:80/tcp"
}
