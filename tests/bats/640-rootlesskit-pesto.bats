# shellcheck shell=bash
# RootlessKit itself runs pasta for its network and pesto for its ports.
# bats file_tags=root

load helpers
load lib/rootlesskit

setup_file() { rootlesskit_setup pasta pesto; }

teardown_file() { network_stop; }

teardown() { rootlesskit_teardown; }

# kit PORT_DRIVER [OPTIONS]
kit() { kit_start --net=pasta --port-driver "$@"; }

@test "pesto: TCP and UDP until the ports are removed" {
	kit pesto --disable-host-loopback
	serve in_child 10.0.2.100:80
	expect ECONNREFUSED from_peer 8080
	expect "1
2" ctl add-ports ":8080:80/tcp" "$HOST4:5353:80/udp"
	expect ok from_peer 8080
	expect ok from_host 8080
	in_peer "$NETTOOL" udp-echo -count 10 "$HOST4:5353"
	expect '{"id":1,"spec":{"proto":"tcp","parentPort":8080,"childPort":80}}' ctl_first list-ports --json
	expect 1 ctl remove-ports 1
	expect ECONNREFUSED from_peer 8080
	expect ECONNREFUSED from_host 8080
	in_peer "$NETTOOL" udp-echo -count 10 "$HOST4:5353"
	expect 3 ctl add-ports "$HOST4:8080:80/tcp4" # at once
	expect ok from_peer 8080
}

@test "pesto: the server sees the client" {
	kit pesto
	serve in_child 10.0.2.100:80
	ctl add-ports ":8080:80/tcp"
	run in_peer "$NETTOOL" peer "$HOST4:8080"
	echo "$output"
	[[ $output == "$GATEWAY4:"* ]]
}

@test "pesto: what cannot be added" {
	kit pesto
	ctl add-ports ":8080:80/tcp"
	fails_with "conflict with ID 1" ctl add-ports ":8080:81/tcp"
	fails_with "Forwarding configuration conflict" ctl add-ports "127.0.0.1:8080:81/tcp"
	fails_with "unsupported IP: ::1" ctl add-ports "[::1]:8081:81/tcp"
	expect 1 jq .id <(ctl list-ports --json)
}

@test "pesto: info" {
	kit pesto --ipv6
	expect '"pasta"' jq .networkDriver.driver <(ctl info --json)
	expect '"10.0.2.100"' jq .networkDriver.childIP <(ctl info --json)
	expect '"pesto"' jq .portDriver.driver <(ctl info --json)
}

@test "pesto: the network leads out" {
	serve in_host 127.0.0.1:7001
	kit pesto --disable-host-loopback
	expect ok in_child "$NETTOOL" connect "$PEER4:$OUT_PORT"
	expect ENETUNREACH in_child "$NETTOOL" connect 10.0.2.2:7001
	kit_end
	kit pesto --ipv6
	expect ok in_child "$NETTOOL" connect "[$PEER6]:$OUT_PORT"
	expect ok in_child "$NETTOOL" connect 10.0.2.2:7001
}

@test "pesto: a detached network namespace" {
	kit pesto --detach-netns
	serve in_detached 10.0.2.100:80
	ctl add-ports ":8080:80/tcp"
	expect ok from_peer 8080
	expect ok in_detached "$NETTOOL" connect "$PEER4:$OUT_PORT"
}

@test "pesto: the end of the command is the end of all" {
	kit pesto
	kill_and_wait KILL "$(command_runs)"
	wait_for 5 gone "$KIT"
	KIT=
	wait_for 5 no_strays
}

@test "implicit: ports follow the services in the namespace" {
	kit implicit --disable-host-loopback
	serve in_child 0.0.0.0:8080
	wait_for 3 reachable 8080
	expect ok from_peer 8080
	kill_and_wait KILL "$BG_PID"
	wait_for 3 unreachable 8080
	fails_with "no PortDriver is available" ctl list-ports
}

@test "implicit: services on the namespace's loopback are the host's loopback's" {
	kit implicit
	serve in_child 127.0.0.1:8080
	wait_for 3 reachable 8080
	run in_peer "$NETTOOL" peer "$HOST4:8080"
	echo "$output"
	[ "$status" -ne 0 ]
}

reachable() { [ "$(from_host "$1")" = ok ]; }
unreachable() { [ "$(from_host "$1")" = ECONNREFUSED ]; }

@test "none: the network leads out, and nothing in" {
	kit none --disable-host-loopback
	serve in_child 0.0.0.0:8080
	expect ok in_child "$NETTOOL" connect "$PEER4:$OUT_PORT"
	expect ECONNREFUSED from_peer 8080
	fails_with "no PortDriver is available" ctl add-ports ":8080:80/tcp"
}
