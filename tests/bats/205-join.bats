# shellcheck shell=bash
# Namespaces that exist already: by process and by path, and how they end.

load helpers
load lib/process

setup_file() { network_start; }

teardown_file() { network_stop; }

setup() { process_setup; }

teardown() { process_teardown; }

@test "by PID: the network is complete when the front ends" {
	new_target
	attach -q "$TARGET"
	[ "$(in_guest ip -o link show up | wc -l)" -eq 2 ]
}

@test "by PID: pasta ends with the process" {
	new_target
	attach -l "$LOGFILE" "$TARGET"
	kill "$TARGET"
	wait_for 5 gone "$DAEMON"
	tail -n 1 "$LOGFILE" | grep -Eq '^[0-9]+\.[0-9]{4}: info:    Namespace net is gone, exiting$'
}

@test "by PID with --no-netns-quit: pasta stays" {
	new_target
	attach -q --no-netns-quit "$TARGET"
	kill "$TARGET"
	wait_for 5 gone "$TARGET"
	sleep 1.2 # one look per second
	running "$DAEMON"
}

@test "by path from outside the user namespace" {
	new_target
	attach --userns "/proc/$TARGET/ns/user" --netns "/proc/$TARGET/ns/net"
	kill "$TARGET"
	wait_for 5 gone "$DAEMON"
}

@test "by path without rights over it" {
	new_target
	refuses "Couldn't switch to pasta namespaces: Operation not permitted" --netns "/proc/$TARGET/ns/net"
}

@test "by the name of a file: pasta ends when it is unlinked, not when it is unmounted" {
	new_target
	touch "$MARK"
	enter "$TARGET" mount --bind /proc/self/ns/net "$MARK"
	detached enter_host_network "$TARGET" "$PASTA" --config-net -q -P "$PIDFILE" --netns "$MARK"
	DAEMON=$(cat "$PIDFILE")
	note_started "$DAEMON"
	enter "$TARGET" umount --lazy "$MARK"
	sleep 0.2 # inotify would have told
	running "$DAEMON"
	rm "$MARK"
	wait_for 2 gone "$DAEMON"
}

@test "processes and user namespaces that do not exist" {
	local prefix="Couldn't open user namespace"
	refuses "$prefix /proc/2147480000/ns/user: No such file or directory" 2147480000
	refuses "$prefix /nonexistent: No such file or directory" --userns /nonexistent --netns /nonexistent
	refuses "Couldn't enter user namespace /dev/null: Invalid argument" --userns /dev/null --netns /nonexistent
}

@test "network namespaces that do not exist" {
	local prefix="Couldn't open network namespace"
	refuses "$prefix /run/netns/none: No such file or directory" --netns none
	refuses "$prefix /proc/2147480000/ns/net: No such file or directory" --netns-only 2147480000
}

@test "what is no network namespace" {
	local prefix="Couldn't open network namespace"
	refuses "$prefix /etc/passwd: Not a network namespace" --netns /etc/passwd
	refuses "$prefix /proc/self/ns/user: Not a network namespace" --netns /proc/self/ns/user
	new_target
	refuses "$prefix /etc/passwd: Not a network namespace" --userns "/proc/$TARGET/ns/user" --netns /etc/passwd
}

@test "a second pasta for a namespace is told why not" {
	new_target
	attach -q -I one "$TARGET"
	refuses "TUNSETIFF ioctl on /dev/net/tun failed: Device or resource busy
Interface one of the namespace is in use: end who uses it, or choose another name with --ns-ifname
Failed to set up tap device in namespace" -I one "$TARGET"
}

@test "failures leave no process behind" {
	local options
	new_target
	for options in "-I lo" "-t 80" "-i nonexistent"; do
		# shellcheck disable=SC2086 # two words
		run pasta $options "$TARGET"
		[ "$status" -eq 1 ]
		[ -n "$output" ]
	done
	wait_for 2 no_strays
	refuses "TUNSETIFF ioctl on /dev/net/tun failed: Invalid argument
Failed to set up tap device in namespace" -I lo "$TARGET"
	wait_for 2 no_strays
}
