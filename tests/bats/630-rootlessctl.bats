# shellcheck shell=bash
# Ports of a running pasta are published, listed and closed by RootlessKit's own
# rootlessctl.

load helpers

setup_file() {
	network_start
	guest_start "$WAY" -t none -u none -T none -U none --api-socket "$TOPO_DIR/api.sock" -c "$TOPO_DIR/conf"
	ln -s "$PASTA" "$TOPO_DIR/pesto"
	page_server
	background in_guest socat TCP6-LISTEN:8000,fork,reuseaddr,ipv6only=0 "EXEC:$TOPO_DIR/page"
	background in_guest socat UDP6-RECVFROM:5300,fork,ipv6only=0 EXEC:cat
	serve in_guest "$HOST4:$IN_PORT" "[$HOST6]:$IN_PORT"
	guest_save
}

teardown_file() { network_stop; }

# page_server makes the program that answers a request with the client's address.
page_server() {
	cat >"$TOPO_DIR/page" <<-'END'
		#!/bin/sh
		while read -r line && [ "$line" != "$(printf '\r')" ]; do :; done
		printf 'HTTP/1.0 200 OK\r\n\r\n%s\n' "$SOCAT_PEERADDR"
	END
	chmod 755 "$TOPO_DIR/page"
}

setup() { guest_load; }

teardown() {
	local id
	for id in $(ids); do
		ctl remove-ports "$id"
	done
}

ctl() { as_user "$ROOTLESSCTL" --socket "$TOPO_DIR/api.sock" "$@"; }

# ids prints those of the published ports.
ids() { ctl list-ports --json | jq .id; }

# from_peer PORT: what the peer gets when it connects to that port of the host.
from_peer() { in_peer "$NETTOOL" connect -timeout 5s "$HOST4:$1"; }

@test "the socket is its owner's" {
	expect 600 as_user stat -c %a "$TOPO_DIR/api.sock"
}

@test "info" {
	run ctl info
	echo "$output"
	[ "$status" -eq 0 ]
	grep -qx -- "- REST API version: 1.1.2" <<<"$output"
	grep -qx -- "- State Directory: $TOPO_DIR" <<<"$output"
	grep -qx -- "- Network Driver: pasta" <<<"$output"
	grep -qx -- "  - IP: $HOST4" <<<"$output"
	grep -qx -- "- Port Driver: pasta" <<<"$output"
	grep -qx -- "  - Supported protocols: \[tcp tcp4 tcp6 udp udp4 udp6\]" <<<"$output"
	expect "$("$PASTA" --version | sed -n 's/^pasta //p')" jq -r .version <(ctl info --json)
	expect true jq .networkDriver.ipv6 <(ctl info --json)
}

@test "childPID is the command" {
	local child
	child=$(ctl info --json | jq .childPID)
	[ "$(readlink "/proc/$child/ns/net")" = "$(readlink "/proc/$GUEST_PID/ns/net")" ]
}

@test "TCP over IPv4 and IPv6 until the port is closed" {
	expect ECONNREFUSED from_peer 8080
	id=$(ctl add-ports ":8080:8000/tcp")
	expect "[0000:0000:0000:0000:0000:ffff:0a42:0001]" in_peer curl -s "http://$HOST4:8080/"
	expect "[fd66:0000:0000:0000:0000:0000:0000:0001]" in_peer curl -s "http://[$HOST6]:8080/"
	expect "$id" ctl remove-ports "$id"
	expect ECONNREFUSED from_peer 8080
	ctl add-ports ":8080:$IN_PORT/tcp" # at once
	expect ok from_peer 8080
}

@test "one family only" {
	ctl add-ports "0.0.0.0:8080:8000/tcp4" "[::]:8081:8000/tcp6"
	in_peer curl -s "http://$HOST4:8080/"
	in_peer curl -s "http://[$HOST6]:8081/"
	expect ECONNREFUSED in_peer "$NETTOOL" connect "[$HOST6]:8080"
	expect ECONNREFUSED from_peer 8081
}

@test "UDP over IPv4 and IPv6" {
	ctl add-ports ":5353:5300/udp" "$HOST4:5354:$IN_PORT/udp4"
	expect hello echoes "UDP4:$HOST4:5353"
	expect hello echoes "UDP6:[$HOST6]:5353"
	in_peer "$NETTOOL" udp-echo -count 10 "$HOST4:5354"
}

# echoes ADDRESS: what comes back from a word sent there.
echoes() { in_peer sh -c "echo hello | socat -t 2 - $1"; }

@test "a child's address: its own, and its loopback" {
	serve in_guest 127.0.0.1:7070
	ctl add-ports "$HOST4:8080:127.0.0.1:7070/tcp" "$HOST4:8081:$HOST4:$IN_PORT/tcp"
	expect ok from_peer 8080
	expect ok from_peer 8081
	kill_and_wait KILL "$BG_PID"
}

@test "list, as table and as JSON" {
	expect "ID    PROTO    PARENTIP    PARENTPORT    CHILDIP    CHILDPORT" ctl_trimmed list-ports
	expect "" ctl list-ports --json
	id=$(ctl add-ports --json "127.0.0.1:8080:$HOST4:80/tcp4" | jq .id)
	ctl add-ports ":5353:53/udp"
	expect "{\"id\":$id,\"spec\":{\"proto\":\"tcp4\",\"parentIP\":\"127.0.0.1\",\"parentPort\":8080,\"childPort\":80,\"childIP\":\"$HOST4\"}}
{\"id\":$((id + 1)),\"spec\":{\"proto\":\"udp\",\"parentPort\":5353,\"childPort\":53}}" ctl list-ports --json
	expect "$id tcp4 127.0.0.1 8080 $HOST4 80" row "$id"
}

ctl_trimmed() { ctl "$@" | sed 's/ *$//'; }

# row ID: that row of the table, with single blanks.
row() { ctl list-ports | awk -v id="$1" '$1 == id { $1 = $1; print }'; }

@test "a port in use" {
	serve in_host "$HOST4:8090"
	fails_with "error: listen tcp4 $HOST4:8090: bind: address already in use" ctl add-ports "$HOST4:8090:80/tcp4"
	expect "" ids
	kill_and_wait KILL "$BG_PID"
	id=$(ctl add-ports "$HOST4:8090:$IN_PORT/tcp4")
	expect ok from_peer 8090
	fails_with "error: conflict with ID $id" ctl add-ports "$HOST4:8090:81/tcp4"
	fails_with "error: listen tcp :8090: bind: address already in use" ctl add-ports ":8090:81/tcp"
	expect ok from_peer 8090
}

@test "what cannot be published" {
	fails_with "cannot expose privileged port 80, you can add 'net.ipv4.ip_unprivileged_port_start=80'" \
		ctl add-ports ":80:80/tcp"
	fails_with "error: invalid ParentPort: 70000" ctl add-ports ":70000:80/tcp"
	fails_with "error: unsupported port protocol sctp" ctl add-ports ":8080:80/sctp"
	fails_with "error: listen tcp4: address ::1: no suitable address" ctl add-ports "[::1]:8080:80/tcp4"
	fails_with "error: unknown id: 4711" ctl remove-ports 4711
	expect "" ids
}

@test "pesto sees published ports, and closes them" {
	ctl add-ports ":8080:$IN_PORT/tcp"
	as_user "$TOPO_DIR/pesto" "$TOPO_DIR/conf" | grep -qF "TCP [*]:8080  =>  $IN_PORT"
	as_user "$TOPO_DIR/pesto" -D -t "8080:$IN_PORT" "$TOPO_DIR/conf"
	expect "" ids
	as_user "$TOPO_DIR/pesto" -A -t 8080 "$TOPO_DIR/conf"
	fails_with "address already in use" ctl add-ports ":8080:$IN_PORT/tcp"
	as_user "$TOPO_DIR/pesto" -C HOST "$TOPO_DIR/conf"
}

@test "a connection outlives its port" {
	id=$(ctl add-ports ":8080:$IN_PORT/tcp")
	mkfifo "$TOPO_DIR/hold"
	in_peer "$NETTOOL" hold -count 5 "$HOST4:8080" <"$TOPO_DIR/hold" >"$TOPO_DIR/held" 2>&1 3>&- &
	exec 9>"$TOPO_DIR/hold"
	wait_for 5 grep -q . "$TOPO_DIR/held"
	ctl remove-ports "$id"
	expect ECONNREFUSED from_peer 8080
	exec 9>&-
	wait $!
}

@test "curl, too" {
	api() { as_user curl -s --unix-socket "$TOPO_DIR/api.sock" -w ' %{http_code}' "$@"; }
	expect "[] 200" api http://x/v1/ports
	expect "[] 200" api --request-target http://x/v1/ports http://y/
	expect '{"message":"page not found"} 404' api http://x/v2/ports
	expect '{"message":"method not allowed"} 405' api -X PUT http://x/v1/info
	expect '{"message":"unexpected end of JSON input"} 400' api -X POST http://x/v1/ports
	head -c 70000 /dev/zero >"$TOPO_DIR/large"
	expect '{"message":"body exceeds 65536 bytes"} 413' api --data-binary "@$TOPO_DIR/large" http://x/v1/ports
}

@test "the guest has no say" {
	fails_with "error: " in_guest "$ROOTLESSCTL" --socket "$TOPO_DIR/api.sock" info
	fails_with "error: " in_guest unshare --net "$ROOTLESSCTL" --socket "$TOPO_DIR/api.sock" info
	ctl info >/dev/null
}

# silent_clients: more than are served at a time, of which none says anything.
silent_clients() {
	local n
	for ((n = 0; n < 40; n++)); do
		background as_user socat -u "UNIX-CONNECT:$TOPO_DIR/api.sock" -
	done
}

@test "clients that say nothing hold nobody up" {
	local begun
	silent_clients
	begun=$SECONDS
	ctl info >/dev/null
	[ $((SECONDS - begun)) -lt 4 ] # their time is 5 s
}

@test "a second run cannot take the socket of a first" {
	guest_namespace
	fails_with "Failed to bind UNIX domain socket: Address already in use" \
		as_user "$PASTA" --api-socket "$TOPO_DIR/api.sock" "$GUEST_PID"
	kill_and_wait KILL "$GUEST_PID"
}
