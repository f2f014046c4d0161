# shellcheck shell=bash
# Every way of attaching carries traffic, and pasta ends with the namespace.

load helpers

setup_file() { network_start; }

teardown_file() { network_stop; }

teardown() { guest_end; }

# The name of the test starts with the way of attaching.
all_transfers() {
	local direction family
	WAY=$(named spawn pid outside inside)
	guest_with_server
	for direction in out in; do
		for family in IPv4 IPv6; do
			client "$direction" "$family" up -size "$LARGE"
			client "$direction" "$family" down -size 1
			client "$direction" "$family" udp-echo -count 1000 -size 1400
		done
	done
	in_guest ping -c 1 -W 2 "$PEER4"
	in_guest ping -c 1 -W 2 "$PEER6"
	guest_stop
}

@test "spawn: all transfers, pasta ends with the command" { all_transfers; }
@test "pid: all transfers, pasta ends with the process" { all_transfers; }
@test "outside the user namespace, by path: all transfers" { all_transfers; }
@test "inside the user namespace, by path: all transfers" { all_transfers; }

@test "a path that is unlinked ends pasta, while connections are open" {
	local holder
	guest_namespace
	holder=$GUEST_PID
	: >"$TOPO_DIR/ns"
	enter "$holder" mount --bind /proc/self/ns/net "$TOPO_DIR/ns"
	detached enter_host_network "$holder" "$PASTA" --config-net -P "$TOPO_DIR/ns.pid" --netns "$TOPO_DIR/ns"
	topo_record "$(cat "$TOPO_DIR/ns.pid")"
	background in_guest "$NETTOOL" down -interval 10ms -size 5000 "$PEER4:$OUT_PORT"
	wait_for 5 transfer_runs
	enter "$holder" umount --lazy "$TOPO_DIR/ns"
	rm "$TOPO_DIR/ns"
	wait_for 2 gone "$(cat "$TOPO_DIR/ns.pid")"
	kill_and_wait KILL "$holder"
}

transfer_runs() { in_guest ss -Htn "dport = :$OUT_PORT" | grep -q ESTAB; }

@test "two guests of one host do not disturb each other" {
	local first
	guest_start "$WAY"
	first=$GUEST_PID
	guest_start "$WAY"
	client out IPv4 up -size "$LARGE" 3>&- &
	enter_guest "$first" "$NETTOOL" up -size "$LARGE" "$PEER4:$OUT_PORT"
	wait $!
	guest_stop
	enter_guest "$first" "$NETTOOL" up -size 1000 "[$PEER6]:$OUT_PORT"
	kill_and_wait KILL "$first"
}

@test "killed pasta leaves the guest without network, and another can take over" {
	guest_namespace
	detached as_user "$PASTA" --config-net -P "$TOPO_DIR/first.pid" "$GUEST_PID"
	client out IPv4 up -size 1000
	kill_and_wait TERM "$(cat "$TOPO_DIR/first.pid")"
	[ "$(client out IPv4 connect -timeout 5s)" != ok ]
	detached as_user "$PASTA" --config-net -P "$TOPO_DIR/second.pid" "$GUEST_PID"
	client out IPv4 up -size 1000
	kill_and_wait KILL "$GUEST_PID"
	wait_for 3 gone "$(cat "$TOPO_DIR/second.pid")"
}
