# shellcheck shell=bash
# Processes of pasta for the tests of its life cycle (2xx): started as the
# ordinary user in the host namespace, ended with the test. Needs helpers.bash.
#
# Files of a test are below $TOPO_DIR, which the user may write to.

export PIDFILE LOGFILE OUT MARK # names of files
export PID TARGET DAEMON            # set by start, new_target and attach

# process_setup and process_teardown: for setup and teardown.
process_setup() {
	PIDFILE=$TOPO_DIR/pid LOGFILE=$TOPO_DIR/log OUT=$TOPO_DIR/out MARK=$TOPO_DIR/mark
	started=()
}

process_teardown() {
	local pid
	for pid in "${started[@]}"; do
		kill -KILL "$pid" 2>/dev/null || true
	done
	rm -f "$PIDFILE" "$LOGFILE" "$OUT" "$MARK"
}

# pasta ARGS...: run the binary under test to its end; what bats' run wraps.
pasta() { detached as_user "$PASTA" --config-net "$@"; }

# start CMD...: CMD as the user in the background, with its PID in $PID. Other
# than with background, it stays a child that "wait" can ask for its status.
start() {
	# shellcheck disable=SC2034 # for run_or_exec
	(TOPO_EXEC=1 && as_user "$@") 3>&- &
	PID=$!
	note_started "$PID"
}

# note_started PID: this process ends with the test.
note_started() {
	started+=("$1")
	topo_record "$1"
}

# ends_with STATUS PID: the child PID exits with STATUS.
ends_with() {
	local status=0
	wait "$2" || status=$?
	echo "status $status, want $1"
	[ "$status" -eq "$1" ]
}

# new_target: a process in new user and network namespaces; its PID is $TARGET.
new_target() {
	guest_namespace
	TARGET=$GUEST_PID
	started+=("$TARGET")
}

# attach ARGS...: run pasta until it is in the background and has let go of all
# its streams; the daemon's PID is $DAEMON.
attach() {
	timeout 10 cat <(pasta -P "$PIDFILE" "$@" 2>&1 && echo ended) >"$OUT"
	grep -q '^ended$' "$OUT" || { cat "$OUT" >&2; return 1; }
	DAEMON=$(cat "$PIDFILE")
	note_started "$DAEMON"
}

outputs() { gives 0 "$@"; } # WANT ARGS...: pasta ARGS succeeds and prints WANT
refuses() { gives 1 "$@"; } # WANT ARGS...: pasta ARGS fails and prints WANT

# gives STATUS WANT ARGS...: pasta ARGS ends like this and prints WANT.
gives() {
	local want_status=$1 want=$2
	shift 2
	run pasta "$@"
	# shellcheck disable=SC2154 # set by run
	echo "status $status, output: $output"
	[ "$status" -eq "$want_status" ] && [ "$output" = "$want" ]
}
