# shellcheck shell=bash
# The daemon in the background, and pasta in the foreground without a command.

load helpers
load lib/process

setup_file() { network_start; }

teardown_file() { network_stop; }

setup() { process_setup; }

teardown() { process_teardown; }

@test "PID file, released streams, own session and PID namespace" {
	local fd
	new_target
	attach "$TARGET"
	[ "$(stat -c %a "$PIDFILE")" = 600 ]
	running "$DAEMON"
	[ "$(cat "/proc/$DAEMON/comm")" = pasta ]
	[ "$(awk '/^NSpid/ { print $NF }' "/proc/$DAEMON/status")" = 1 ]
	[ "$(ps -o tty= -p "$DAEMON")" = "?" ]
	[ "$(ps -o sid= -p "$DAEMON" | tr -d ' ')" != "$(ps -o sid= -p $$ | tr -d ' ')" ]
	for fd in 0 1 2; do
		[ "$(stat -L -c %t:%T "/proc/$DAEMON/fd/$fd")" = 1:3 ]
	done
}

@test "inherited files are closed" {
	local fd
	new_target
	mkfifo "$MARK"
	exec 9<>"$MARK"
	attach "$TARGET"
	exec 9>&-
	for fd in "/proc/$DAEMON/fd"/*; do
		[ "$(readlink "$fd")" != "$MARK" ]
	done
}

@test "sandbox: empty root, two capabilities, no way to get more" {
	local set ns
	new_target
	attach -q "$TARGET"
	[ "$(status_of CapEff)" = 0000000000200400 ] # SYS_ADMIN, NET_BIND_SERVICE
	[ "$(status_of CapPrm)" = 0000000000200400 ]
	for set in CapInh CapBnd CapAmb; do
		[ "$(status_of $set)" = 0000000000000000 ]
	done
	[ "$(status_of NoNewPrivs)" = 1 ]
	for ns in mnt ipc uts pid; do
		[ "$(stat -L -c %i "/proc/$DAEMON/ns/$ns")" != "$(stat -L -c %i /proc/self/ns/$ns)" ]
	done
	[ -z "$(in_host ls -A "/proc/$DAEMON/root/")" ]
}

# status_of KEY: that line of the daemon's status.
status_of() { awk -v key="$1:" '$1 == key { print $2 }' "/proc/$DAEMON/status"; }

@test "no wake-ups while nothing happens" {
	local before after
	new_target
	# The link stays down: the guest's kernel has nothing to say.
	# Without ports to follow there is nothing to scan either.
	detached as_user "$PASTA" -q -P "$PIDFILE" -t none -u none -T none -U none "$TARGET"
	DAEMON=$(cat "$PIDFILE")
	note_started "$DAEMON"
	sleep 0.5
	before=$(switches)
	sleep 2
	after=$(switches)
	echo "context switches in 2 s: $((after - before))"
	[ $((after - before)) -le 1 ]
}

switches() { cat "/proc/$DAEMON"/task/*/status | awk '/ctxt_switches/ { n += $2 } END { print n }'; }

@test "foreground: own process ID in the file, the daemon ends with the front" {
	local front
	new_target
	start "$PASTA" --config-net -f -q -P "$PIDFILE" "$TARGET"
	front=$PID
	wait_for 5 test -s "$PIDFILE"
	[ "$(cat "$PIDFILE")" = "$front" ]
	DAEMON=$(pgrep -P "$front")
	kill -KILL "$front"
	wait_for 5 gone "$DAEMON"
}

@test "foreground: ends with the process, status 0" {
	new_target
	start "$PASTA" --config-net -f -P "$PIDFILE" "$TARGET"
	wait_for 5 test -s "$PIDFILE"
	kill "$TARGET"
	ends_with 0 "$PID"
}

@test "standard streams may be closed" {
	# shellcheck disable=SC2016 # for the inner shell
	pasta -- sh -c "ls -l /proc/\$\$/fd >$OUT" <&- >&- 2>&-
	[ "$(grep -c -- '-> /dev/null$' "$OUT")" -ge 2 ]
	new_target
	pasta -P "$PIDFILE" "$TARGET" <&- >&- 2>&-
	note_started "$(cat "$PIDFILE")"
	running "$(cat "$PIDFILE")"
}

@test "/tmp may be read-only" {
	run as_user unshare -Urm --propagation private bash -c '
		mount -t tmpfs -o ro none /tmp
		cd /
		! touch /tmp/x 2>/dev/null || exit 99
		exec -a pasta /proc/self/fd/8 --config-net -- sh -c "exit 4"' 8<"$PASTA"
	echo "$output"
	[ "$status" -eq 4 ]
}
