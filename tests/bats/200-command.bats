# shellcheck shell=bash
# A command or shell in namespaces of its own: how it is started, what it finds,
# what becomes of its exit status.

load helpers
load lib/process

setup_file() { network_start; }

teardown_file() { network_stop; }

setup() { process_setup; }

teardown() { process_teardown; }

# exits STATUS ARGS...
exits() {
	local want=$1
	shift
	run pasta "$@"
	echo "status $status, output: $output"
	[ "$status" -eq "$want" ]
}

@test "exit status is the command's, or 128 plus the signal" {
	outputs "" -- true
	exits 7 -- sh -c 'exit 7'
	# shellcheck disable=SC2016 # for the inner shell
	exits 143 --no-pidns -- sh -c 'kill -TERM $$'
	# shellcheck disable=SC2016
	exits 137 --no-pidns -- sh -c 'kill -KILL $$'
}

@test "a command that cannot be started" {
	local prefix="Failed to start command or shell"
	refuses "$prefix: No such file or directory" -- /nonexistent/command
	refuses "$prefix: No such file or directory" -- nonexistent-command
	refuses "$prefix: Permission denied" -- /etc/passwd
}

@test "user 0, process 1, host name, pings allowed" {
	# shellcheck disable=SC2016
	outputs "1 0 0 deny" -- sh -c 'echo $$ $(id -u) $(id -g) $(cat /proc/self/setgroups)'
	outputs "pasta-$(hostname)" -- hostname
	outputs $'0\t0' -- cat /proc/sys/net/ipv4/ping_group_range
	outputs cat -- cat /proc/1/comm
}

@test "every namespace is new; with --no-pidns all but the PID namespace" {
	local ns
	for ns in user net pid mnt ipc uts; do
		run pasta -- readlink /proc/self/ns/$ns
		[[ "$output" == "$ns:["* ]]
		[ "$output" != "$(as_user readlink /proc/self/ns/$ns)" ]
	done
	outputs "$(readlink /proc/self/ns/pid)" --no-pidns -- readlink /proc/self/ns/pid
}

@test "all capabilities, no filter, no marker in the environment, no inherited files" {
	run pasta -- grep -E 'CapEff|NoNewPrivs|^Seccomp:' /proc/self/status
	[ "${lines[0]#*$'\t'}" = "$(awk '$1 == "CapBnd:" { print $2 }' "/proc/$(topo_pid host)/status")" ]
	[ "${lines[1]}" = $'NoNewPrivs:\t0' ]
	[ "${lines[2]}" = $'Seccomp:\t0' ]
	run pasta -- sh -c 'env | grep _PASTA'
	[ "$status" -eq 1 ]
	[ -z "$output" ]
	# shellcheck disable=SC2016
	outputs $'0\n1\n2' -- sh -c 'ls /proc/$$/fd' 7</dev/null
}

@test "standard streams are the command's" {
	[ "$(echo text | pasta -- sh -c 'cat; echo err >&2' 2>&1)" = $'text\nerr' ]
}

@test "without command: the login shell" {
	# shellcheck disable=SC2016
	[ "$(echo 'echo $0' | SHELL=/bin/sh pasta)" = "-/bin/sh" ]
	# shellcheck disable=SC2016
	[ "$(unset SHELL; echo 'echo $0' | pasta)" = "-/bin/sh" ]
}

@test "the network is ready when the command starts" {
	outputs 2 -- sh -c 'ip -o link show up | wc -l'
}

@test "a given user namespace is joined" {
	new_target
	outputs "$(readlink "/proc/$TARGET/ns/user")" \
		--userns "/proc/$TARGET/ns/user" -- readlink /proc/self/ns/user
}

@test "the command goes on when pasta is killed" {
	mkfifo "$MARK"
	start "$PASTA" --config-net -- sh -c "read line <$MARK; touch $OUT"
	wait_for 5 pgrep -f "^sh -c read line <$MARK"
	kill -KILL "$PID"
	wait_for 5 gone "$PID"
	timeout 5 sh -c "echo go >$MARK"
	wait_for 5 test -e "$OUT"
}
