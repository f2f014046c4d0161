# shellcheck shell=bash
# How RootlessKit begins and ends with a network of NETWORK: tests that are the same for
# each. Needs kitmatrix.bash.

export WORDS=() # no options that tests look at

# passes_status PORT_DRIVER: the status of the command is that of RootlessKit, whose state
# directory, which it makes itself here, is gone.
passes_status() {
	install -d -o "$TOPO_UID" -g "$TOPO_UID" "$TOPO_DIR/tmp"
	run detached as_rootless env "TMPDIR=$TOPO_DIR/tmp" "$ROOTLESSKIT" --net="$NETWORK" --port-driver="$1" \
		sh -c 'env; exit 42'
	# shellcheck disable=SC2154 # set by run
	echo "status $status, output: $output"
	[ "$status" -eq 42 ] && [[ "$output" == *"ROOTLESSKIT_STATE_DIR=$TOPO_DIR/tmp/"* ]]
	wait_for 5 no_strays
	rmdir "$TOPO_DIR/tmp"
	expect "$(cat "$TOPO_DIR/before")" host_state
}

# publishes PORT_DRIVER ADDR: ports that the command line of RootlessKit names lead to ADDR in
# the namespace from the beginning.
publishes() {
	matrix_start "$1" -p ":8080:80/tcp" -p "$HOST4:8080:80/udp"
	serve in_child "$2"
	echoes "$HOST4:8080"
	kill_and_wait KILL "$BG_PID"
}

# begin PORT_DRIVER: RootlessKit with a network that works.
begin() {
	matrix_start "$1"
	expect ok in_child "$NETTOOL" connect "$PEER4:$OUT_PORT"
}

# daemon prints the PID of the process that is the network.
daemon() {
	local pid
	for pid in $(topo_inhabitants); do
		[ "$(cat "/proc/$pid/comm")" != "$NETWORK" ] || echo "$pid"
	done
}

# outlives_daemon PORT_DRIVER: nobody but the network notices when its process is killed.
outlives_daemon() {
	begin "$1"
	kill_and_wait KILL "$(daemon)"
	[ "$(in_child "$NETTOOL" connect -timeout 1s "$PEER4:$OUT_PORT")" != ok ]
	running "$CHILD"
	ctl info
	kit_end
	nothing_left
	begin "$1"
}

# resumes PORT_DRIVER: a killed process that is started again by hand serves the same
# namespace.
resumes() {
	local argv
	begin "$1"
	mapfile -d '' argv <"/proc/$(daemon)/cmdline"
	kill_and_wait KILL "$(daemon)"
	background as_rootless "${argv[@]}"
	wait_for 5 leads_out
	kit_end || kill_and_wait KILL "$BG_PID"
}

leads_out() { [ "$(in_child "$NETTOOL" connect "$PEER4:$OUT_PORT")" = ok ]; }

# ends_with_kit PORT_DRIVER: all that RootlessKit leaves when it is killed is its state
# directory, which does not disturb the next one.
ends_with_kit() {
	begin "$1"
	kill_and_wait KILL "$KIT"
	nothing_left
	[ -S "$STATE/api.sock" ]
	begin "$1"
	kit_end
}

# ends_with_child PORT_DRIVER: RootlessKit ends, and everything with it, when its child does.
ends_with_child() {
	begin "$1"
	kill_and_wait KILL "$CHILD"
	wait_for 5 gone "$KIT"
	KIT=
	nothing_left
	[ ! -e "$STATE" ]
}

# compare_starts PORT_DRIVER OUR_PATH NAME THEIR_PATH: prints the medians of seven starts each.
compare_starts() {
	local ours=() theirs=()
	while [ "${#ours[@]}" -lt 7 ]; do
		ours+=("$(start_ms "$1" "$2")")
		theirs+=("$(start_ms "$1" "$4")")
	done
	echo "# RootlessKit with --net=$NETWORK, from start to end: $(median "${ours[@]}") ms, with $3 $(median "${theirs[@]}") ms" >&3
}

median() { printf '%s\n' "$@" | sort -n | sed -n "$((($# + 1) / 2))p"; }

# start_ms PORT_DRIVER BINARY: ms from the start of RootlessKit to the end, with a command that
# does nothing.
start_ms() {
	local begin
	begin=$(date +%s%N)
	detached as_rootless "$ROOTLESSKIT" --state-dir="$TOPO_DIR/state" --net="$NETWORK" --port-driver="$1" \
		"--$NETWORK-binary=$2" true 2>"$TOPO_DIR/kit.log"
	echo $((($(date +%s%N) - begin) / 1000000))
}
