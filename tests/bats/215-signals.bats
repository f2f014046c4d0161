# shellcheck shell=bash
# Signals, and what a terminal makes of keys.

load helpers
load lib/process

setup_file() { network_start; }

teardown_file() { network_stop; }

setup() { process_setup; }

teardown() { process_teardown; }

@test "a daemon in the background is ended by SIGTERM, its namespace is not" {
	new_target
	attach "$TARGET"
	kill -TERM "$DAEMON"
	wait_for 5 gone "$DAEMON"
	running "$TARGET"
}

# run_gets SIGNAL STATUS: pasta with a command exits with STATUS.
run_gets() {
	# The shell ignores SIGINT and SIGQUIT in background processes.
	start env --default-signal "$PASTA" --config-net -- sh -c "touch $MARK; exec sleep 1"
	wait_for 5 test -e "$MARK"
	kill -USR1 "$PID"
	kill -PIPE "$PID"
	kill "-$1" "$PID"
	ends_with "$2" "$PID"
}

@test "SIGTERM ends pasta with status 0" { run_gets TERM 0; }
@test "SIGQUIT ends pasta with status 0" { run_gets QUIT 0; }
@test "SIGINT ends pasta" { run_gets INT 130; }
@test "SIGHUP ends pasta" { run_gets HUP 129; }

@test "ignored signals stay ignored" {
	start sh -c "trap '' INT; exec $PASTA --config-net -- sh -c 'touch $MARK; sleep 1; exit 3'"
	wait_for 5 test -e "$MARK"
	kill -INT "$PID"
	ends_with 3 "$PID"
}

# typed STATUS: standard input is an expect script around "spawn" of the binary.
typed() {
	local want=$1
	command -v expect >/dev/null || unable "expect is not installed"
	run as_user expect
	echo "status $status, output: $output"
	[ "$status" -eq "$want" ]
}

@test "Ctrl-C ends a command that does not handle it" {
	typed 130 <<-'EOF'
		set timeout 20
		spawn $env(PASTA) --config-net -- sh -c {echo ready; exec sleep 60}
		expect ready
		sleep 0.2
		send "\x03"
		expect eof
		exit [lindex [wait] 3]
	EOF
}

@test "Ctrl-C reaches a command that handles it, with the network still there" {
	typed 9 <<-'EOF'
		set timeout 20
		spawn $env(PASTA) --config-net -- bash -c {trap "ip -o addr show scope global | wc -l; exit 9" INT; echo ready; while :; do sleep 0.1; done}
		expect ready
		send "\x03"
		expect -re {[1-9]}
		expect eof
		exit [lindex [wait] 3]
	EOF
}

@test "the default shell ends with the status that was typed" {
	local shell
	for shell in dash bash zsh; do
		command -v "$shell" || continue # zsh is no package that tests need
		SHELL=$(command -v "$shell") typed 4 <<-'EOF'
			set timeout 20
			spawn $env(PASTA) --config-net
			expect -re {[#$%] $}
			send "exit 4\r"
			expect "Cannot set" {exit 99} eof
			exit [lindex [wait] 3]
		EOF
	done
}

# Who started pasta reads from the terminal afterwards.
@test "the terminal is given back" {
	local command
	for command in "" dash "bash --norc -i" "head -n 1"; do
		COMMAND=$command SHELL=/bin/dash typed 6 <<-'EOF'
			set timeout 20
			spawn sh -c "$env(PASTA) --config-net $env(COMMAND); read -r line && exit \$line"
			send "exit 3\r"
			sleep 0.5
			send "6\r"
			expect eof
			exit [lindex [wait] 3]
		EOF
	done
}

@test "job control works in the shell" {
	typed 5 <<-'EOF'
		set timeout 20
		spawn $env(PASTA) --config-net -- bash --norc
		expect -re {[#$] $}
		send "sleep 50\r"
		sleep 0.3
		send "\x1a"
		expect Stopped
		send "kill %1; sleep 60\r"
		sleep 0.3
		send "\x03"
		send "echo status=\$?.\r"
		expect -re {status=130\.}
		send "exit 5\r"
		expect eof
		exit [lindex [wait] 3]
	EOF
}
