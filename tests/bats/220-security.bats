# shellcheck shell=bash
# What a hostile guest finds of pasta.

load helpers

setup_file() { network_start; }

teardown_file() { network_stop; }

teardown() { guest_end; }

# daemon_of FRONT prints the PID of the daemon that this front started: the child
# that has a session of its own.
daemon_of() {
	local pid
	for pid in $(pgrep -P "$1"); do
		[ "$(ps -o sid= -p "$pid" | tr -d ' ')" != "$pid" ] || echo "$pid"
	done
}

# The guest looks at procfs of the host, which it has as its standard input; it learns
# the process ID through a FIFO. That it can open memory at all is checked, too.
# shellcheck disable=SC2016 # for the shell in the guest
attack='
	cd /proc/self/fd/0
	read -r daemon front <"$0"
	for pid in "$daemon" "$front" self; do
		(: <>"$pid/mem") 2>/dev/null && echo open || echo refused
	done'

# attacked OPTIONS...: run the attack in a guest, and print what came of it.
attacked() {
	local out=$TOPO_DIR/attack.out fifo=$TOPO_DIR/attack.$RANDOM
	mkfifo -m 666 "$fifo"
	# shellcheck disable=SC2016 # for the inner shell
	background as_user sh -c 'exec "$@" </proc' - "$PASTA" --config-net "$@" -- sh -c "$attack" "$fifo" >"$out"
	wait_for 5 daemon_sandboxed "$BG_PID"
	echo "$(daemon_of "$BG_PID") $BG_PID" >"$fifo"
	wait_for 5 gone "$BG_PID"
	paste -sd ' ' "$out"
}

# daemon_sandboxed FRONT: the readiness of a command's daemon.
daemon_sandboxed() { grep -q 'NoNewPrivs:.*1' "/proc/$(daemon_of "$1")/status"; }

@test "root of the guest cannot open the memory of pasta" {
	expect "refused refused open" attacked
	expect "refused refused open" attacked --no-pidns
}

@test "the processes of the host stay hidden from the command" {
	local dir numbers='test -e self/status && ls -d [1-9]* | sort -n | tail -n 1'
	for dir in /proc /proc/$$; do
		run as_user sh -c "cd $dir && exec $PASTA --config-net -- sh -c 'umount /proc; umount -l /proc; cd ../proc; $numbers'"
		echo "$output"
		[ "$status" -eq 0 ]
		[ "${lines[-1]}" -lt 20 ]
	done
}

@test "where namespaces cannot be nested, the user is told, and the command runs" {
	cat >"$TOPO_DIR/deep" <<'END'
if unshare -Ur unshare -Ur true 2>/dev/null; then
	exec unshare -Ur sh "$0" "$@"
fi
exec "$@"
END
	run as_user sh "$TOPO_DIR/deep" "$PASTA" --config-net -- echo works
	echo "$output"
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = "Couldn't nest user namespaces, root in the new one has power over pasta: No space left on device" ]
	[ "${lines[1]}" = works ]
}

@test "the command has the limit on descriptors that pasta was started with" {
	# shellcheck disable=SC2016 # for the inner shell
	local holder limit='ulimit -Sn 321; exec "$0" "$@"'
	guest_namespace
	holder=$GUEST_PID
	expect 321 as_user sh -c "$limit" "$PASTA" --config-net -- sh -c 'ulimit -Sn'
	expect 321 as_user sh -c "$limit" "$PASTA" --config-net --no-pidns -- sh -c 'ulimit -Sn'
	expect 321 as_user sh -c "$limit" "$PASTA" --config-net --userns "/proc/$holder/ns/user" -- sh -c 'ulimit -Sn'
	expect 321 as_user unshare -Ur sh -c "$limit" "$PASTA" --config-net --netns-only -- sh -c 'ulimit -Sn'
	kill_and_wait KILL "$holder"
}

@test "the daemon of a command has two capabilities and no way to get more" {
	local daemon
	guest_start spawn
	daemon=$(daemon_of "$PASTA_PID")
	# shellcheck disable=SC2016 # for awk
	expect "0000000000000000 0000000000200400 0000000000200400 0000000000000000 0000000000000000 1" \
		awk '/^(Cap|NoNew)/ {printf "%s%s", sep, $2; sep = " "}' "/proc/$daemon/status"
	guest_stop
}

# no_directory PID: the process has no directory open, the way out of its empty
# root. Only root can look, of the namespaces around: it is not dumpable.
no_directory() {
	local found
	found=$(in_host find "/proc/$1/fd" -mindepth 1 -xtype d)
	[ -z "$found" ] || { ls -l "$found" >&2 && return 1; }
}

@test "no directory of the host stays open: namespace of a process" {
	guest_start pid
	[ "$(in_host find "/proc/$PASTA_PID/fd" -mindepth 1 | wc -l)" -gt 5 ]
	no_directory "$PASTA_PID"
	guest_stop
}

@test "no directory of the host stays open: namespace at a path" {
	guest_namespace
	: >"$TOPO_DIR/ns"
	enter "$GUEST_PID" mount --bind /proc/self/ns/net "$TOPO_DIR/ns"
	as_user nsenter -t "$GUEST_PID" -U -m --preserve-credentials -- \
		"$PASTA" --config-net -P "$TOPO_DIR/ns.pid" --netns "$TOPO_DIR/ns" 3>&-
	PASTA_PID=$(cat "$TOPO_DIR/ns.pid")
	topo_record "$PASTA_PID"
	[ "$(in_host find "/proc/$PASTA_PID/fd" -mindepth 1 | wc -l)" -gt 5 ]
	no_directory "$PASTA_PID"
	kill_and_wait KILL "$GUEST_PID"
	kill_and_wait TERM "$PASTA_PID"
}

@test "procfs of another PID namespace is refused with the way out" {
	local reason="/proc does not show this PID namespace, mount procfs there (unshare --mount-proc does)"
	fails_with "$reason" as_user unshare -Urpf "$PASTA" --config-net -- true
	fails_with "$reason" as_user unshare -Urpf "$PASTA" --config-net 1
	as_user unshare -Urpf --mount-proc "$PASTA" --config-net -- true
}

@test "a capture that could block is refused, the network works without" {
	mkfifo -m 666 "$TOPO_DIR/capture"
	run as_user "$PASTA" --config-net -p "$TOPO_DIR/capture" -- echo works
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$output" = "Couldn't open capture file $TOPO_DIR/capture: Not a regular file
works" ]
}

# The limits on file sizes, in KiB, end the capture in its header, and later.
@test "a capture that cannot be written ends, the network goes on" {
	local limit capture="$TOPO_DIR/limited.pcap"
	for limit in 0 4; do
		# shellcheck disable=SC2016 # for the inner shell
		run as_user bash -c 'ulimit -f "$0" && exec "$@"' "$limit" "$PASTA" --config-net --pcap "$capture" -- \
			ping -c 30 -i 0.01 "$PEER4"
		echo "$output"
		[ "$status" -eq 0 ]
		[[ $output == *" 30 received"* ]]
		[ "$(grep -c "without capture file=$capture err=write capture: file too large" <<<"$output")" -eq 1 ]
	done
	tcpdump -nr "$capture" icmp | grep "echo reply"
}
