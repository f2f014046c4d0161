# shellcheck shell=bash
# What pasta says and where: levels, log file, files that cannot be opened.

load helpers
load lib/process

setup_file() { network_start; }

teardown_file() { network_stop; }

setup() { process_setup; }

teardown() { process_teardown; }

@test "log file: mode, header, lines" {
	new_target
	pasta -l "$LOGFILE" -P "$PIDFILE" "$TARGET"
	note_started "$(cat "$PIDFILE")"
	[ "$(stat -c %a "$LOGFILE")" = 600 ]
	head -n 1 "$LOGFILE" | grep -Eq "^pasta [^ ]+: $PASTA \([0-9]+\)$"
	[ "$(sed 1d "$LOGFILE" | grep -Evc '^[0-9]+\.[0-9]{4}: (ERROR:   |WARNING: |info:    |         )')" -eq 0 ]
	grep -q 'info:    MAC:' "$LOGFILE"
}

@test "the summary is there by default, --quiet leaves it out" {
	new_target
	attach "$TARGET"
	grep -q '^MAC:' "$OUT"
	new_target
	attach -q "$TARGET"
	[ "$(cat "$OUT")" = ended ]
}

@test "--debug puts the time before each line" {
	run pasta -d -- true
	[[ ${lines[0]} =~ ^[0-9]+\.[0-9]{4}:\  ]]
}

@test "files that cannot be opened" {
	refuses "Couldn't open PID file /nonexistent/file: No such file or directory" -P /nonexistent/file -- true
	refuses "Couldn't open log file /nonexistent/file: No such file or directory" -l /nonexistent/file -- true
}

@test "a capture file that cannot be opened is no reason to stop" {
	run pasta -p /nonexistent/file -- true
	[ "$status" -eq 0 ]
	[[ $output = *"/nonexistent/file: No such file or directory" ]]
}
