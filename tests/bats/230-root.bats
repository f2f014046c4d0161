# shellcheck shell=bash
# What only the machine's own root meets. These tests run in the machine's own
# network, and are left out by "make bats" for ordinary users.

# bats file_tags=root

load helpers

setup_file() {
	[ "$(id -u)" -eq 0 ] || unable "these tests need root"
	TOPO_DIR=$(mktemp -d)
	export TOPO_DIR
	chmod 755 "$TOPO_DIR"
	tools_readable
}

teardown_file() { topo_stop; }

@test "root becomes nobody" {
	run "$PASTA" --config-net -- cat /proc/self/uid_map
	[ "${lines[0]}" = "Started as root, will change to nobody." ]
	[ "$(words "${lines[1]}")" = "0 65534 1" ]
}

# words TEXT...: with single blanks between them.
words() { xargs <<<"$*"; }

@test "--runas takes numbers and names" {
	run "$PASTA" --config-net --runas 1234:1235 -- cat /proc/self/uid_map /proc/self/gid_map
	[ "$(words "$output")" = "0 1234 1 0 1235 1" ]
	run "$PASTA" --config-net --runas daemon -- cat /proc/self/uid_map
	[ "$(words "$output")" = "0 $(id -u daemon) 1" ]
	fails_with "Invalid --runas option: nonexistent-user" "$PASTA" --config-net --runas nonexistent-user -- true
}

@test "a namespace of root needs --runas 0" {
	local target
	unshare -n sleep 60 3>&- &
	target=$!
	topo_record "$target"
	wait_for 5 grep -q sleep "/proc/$target/comm"
	fails_with "Couldn't open network namespace /proc/$target/ns/net: Permission denied" \
		"$PASTA" --config-net -q --netns "/proc/$target/ns/net"
	detached "$PASTA" --config-net -q --runas 0 -P "$TOPO_DIR/pid" "$target"
	topo_record "$(cat "$TOPO_DIR/pid")"
	kill "$target"
	wait_for 5 gone "$(cat "$TOPO_DIR/pid")"
}
