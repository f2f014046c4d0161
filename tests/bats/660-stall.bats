# shellcheck shell=bash
# While an end of every kind of flow stalls, both ways, across the interface and past
# it, pasta uses no processor time; and nothing is lost once the end goes on.

load helpers

setup_file() {
	network_start
	guest_start pid -t 6001 -u 6001 -T 7001 -U 7001
	guest_save
}

teardown_file() { network_stop; }

setup() {
	guest_load
	servers=() clients=()
	serve in_guest "$HOST4:6001" && servers+=("$BG_PID")
	serve in_host 127.0.0.1:7001 && servers+=("$BG_PID")
	serve in_peer "$PEER4:5002" && servers+=("$BG_PID")
}

teardown() {
	local pid
	for pid in "${servers[@]}" "${clients[@]}"; do
		kill_and_wait KILL "$pid" 2>/dev/null
	done
}

# everywhere SUBCOMMAND [flags]: clients across the interface and past it, both ways.
everywhere() {
	child in_peer "$NETTOOL" "$@" "$HOST4:6001"
	child in_guest "$NETTOOL" "$@" "$PEER4:5002"
	child in_host "$NETTOOL" "$@" 127.0.0.1:6001
	child in_guest "$NETTOOL" "$@" 127.0.0.1:7001
}

# child CMD...: run CMD beside the test, which can wait for its status.
child() {
	# shellcheck disable=SC2034 # for run_or_exec
	(TOPO_EXEC=1 && "$@") >/dev/null 3>&- &
	clients+=("$!")
	topo_record "$!"
}

# transfer SUBCOMMAND: large transfers everywhere; returns when they are under way.
transfer() {
	local before
	before=$(ticks)
	everywhere "$1" -size 300000000
	wait_for 10 busy_since "$before"
}

busy_since() { [ $(($(ticks) - $1)) -ge 5 ]; }

# idle: as soon as the daemon has come to rest, it uses at most one clock tick in 2 s.
# Across the interface, kernels probe closed windows, more and more seldom: hence
# several tries.
idle() {
	wait_for 10 still
	idle_once || idle_once || idle_once
}

idle_once() {
	local before
	before=$(ticks)
	sleep 2 # the measured time
	before=$(($(ticks) - before))
	echo "$before ticks"
	[ "$before" -le 1 ]
}

# go_on PID...: end the stall of these, and wait until all clients have succeeded.
go_on() {
	local pid
	kill -CONT "$@"
	for pid in "${clients[@]}"; do
		wait "$pid"
	done
}

@test "TCP, the receiving server stalls" {
	transfer up
	kill -STOP "${servers[@]}"
	idle
	go_on "${servers[@]}"
}

@test "TCP, the receiving client stalls" {
	transfer down
	kill -STOP "${clients[@]}"
	idle
	go_on "${clients[@]}"
}

@test "UDP, the server stalls" {
	everywhere udp-echo -count 16 -size 1400
	for pid in "${clients[@]}"; do
		wait "$pid"
	done
	clients=()
	kill -STOP "${servers[@]}"
	everywhere udp-echo -count 64 -window 64 -size 1400
	idle
	kill -CONT "${servers[@]}"
}

@test "UDP, the client stalls" {
	local before
	before=$(ticks)
	everywhere udp-echo -count 1000000 -window 32 -size 1400
	wait_for 10 busy_since "$before"
	kill -STOP "${clients[@]}"
	idle
}
