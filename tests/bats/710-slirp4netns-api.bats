# shellcheck shell=bash
# The JSON API of slirp4netns: every reply of the contract, and traffic.

load helpers
load lib/slirp

setup_file() { network_start; }

teardown_file() { network_stop; }

setup() { slirp_setup; }

teardown() { slirp_teardown; }

ERROR='{"error":{"desc":"bad request: %s"}}'

# says TEXT REQUEST: the reply is the error TEXT.
says() {
	local want
	# shellcheck disable=SC2059 # the format is ours
	printf -v want "$ERROR" "$1"
	answers "$want" "$2"
}

seen_from_peer() { in_peer "$NETTOOL" peer "$@" | sed 's/:[0-9]*$//'; }

@test "add, list, remove: exact replies" {
	slirp_start -a "$SLIRP_API"
	answers '{"return":{"entries":[]},"entries":[]}' '{"execute":"list_hostfwd"}'
	answers '{"return":{"id":1}}' \
		'{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_addr":"0.0.0.0","host_port":8080,"guest_addr":"10.0.2.100","guest_port":80}}'
	answers '{"return":{"id":2}}' '{"execute": "add_hostfwd", "arguments": {"proto": "udp", "host_port": 8081, "guest_port": 81}}
'
	local one='{"id":1,"proto":"tcp","host_addr":"0.0.0.0","host_port":8080,"guest_addr":"10.0.2.100","guest_port":80}'
	local two='{"id":2,"proto":"udp","host_addr":"0.0.0.0","host_port":8081,"guest_addr":"10.0.2.100","guest_port":81}'
	answers "{\"return\":{\"entries\":[$one,$two]},\"entries\":[$one,$two]}" '{"execute":"list_hostfwd"}'
	answers '{"return":{}}' '{"execute":"remove_hostfwd","arguments":{"id":1}}'
	answers "{\"return\":{\"entries\":[$two]},\"entries\":[$two]}" '{"execute":"list_hostfwd"}'
	answers '{"return":{"id":3}}' '{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":8080,"guest_port":80}}'
	grep -q '^api_handler: got request: {"execute":"list_hostfwd"}' "$SLIRP_OUT"
}

@test "every error" {
	slirp_start -a "$SLIRP_API"
	says "cannot parse JSON" 'hello'
	says "cannot parse JSON" ''
	says "json_object() failed" '[]'
	says "no execute found" '{}'
	says "no execute found" '{"execute":1}'
	says "unknown execute" '{"execute":"quit"}'
	says "too large message" "{\"execute\":\"$(printf '%04096d' 0)\"}"
	local add='{"execute":"add_hostfwd","arguments":{%s}}' request
	for case in \
		'proto|"host_port":1,"guest_port":1' \
		'proto|"proto":"sctp","host_port":1,"guest_port":1' \
		'proto|"proto":"TCP","host_port":1,"guest_port":1' \
		'host_addr|"proto":"tcp","host_addr":"::1","host_port":8080,"guest_port":1' \
		'host_addr|"proto":"tcp","host_addr":"foo","host_port":8080,"guest_port":1' \
		'host_port|"proto":"tcp","guest_port":1' \
		'host_port|"proto":"tcp","host_port":0,"guest_port":1' \
		'host_port|"proto":"tcp","host_port":"8080","guest_port":1' \
		'guest_addr|"proto":"tcp","host_port":8080,"guest_addr":"fd00::1","guest_port":1' \
		'guest_port|"proto":"tcp","host_port":8080' \
		'guest_port|"proto":"udp","host_port":8080,"guest_port":0'; do
		# shellcheck disable=SC2059 # the format is ours
		printf -v request "$add" "${case#*|}"
		says "add_hostfwd: bad arguments.${case%%|*}" "$request"
	done
	serve in_host "$HOST4:8090"
	says "add_hostfwd: slirp_add_hostfwd failed" '{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":8090,"guest_port":1}}'
	says "add_hostfwd: slirp_add_hostfwd failed" '{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":80,"guest_port":1}}'
	says "remove_hostfwd: bad arguments.id" '{"execute":"remove_hostfwd"}'
	says "remove_hostfwd: bad arguments.id" '{"execute":"remove_hostfwd","arguments":{"id":1}}'
	says "remove_hostfwd: bad arguments.id" '{"execute":"remove_hostfwd","arguments":{"id":"1"}}'
	answers '{"return":{"id":1}}' '{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":8080,"guest_port":80}}'
}

@test "forwards carry TCP and UDP, and show the client" {
	slirp_start -a "$SLIRP_API"
	serve in_guest 10.0.2.100:80
	hostfwd tcp 0.0.0.0 8080 80
	hostfwd udp 0.0.0.0 8081 80
	in_peer "$NETTOOL" up -size 10000000 "$HOST4:8080"
	in_peer "$NETTOOL" down -size 10000000 "$HOST4:8080"
	in_peer "$NETTOOL" udp-echo -count 100 -size 1000 "$HOST4:8081"
	expect "$GATEWAY4" seen_from_peer "$HOST4:8080"
	expect "$GATEWAY4" seen_from_peer -udp "$HOST4:8081"
	expect ok in_host "$NETTOOL" connect -timeout 3s 127.0.0.1:8080
	[[ "$(in_host "$NETTOOL" peer 127.0.0.1:8080)" == 10.0.2.2:* ]]
	[[ "$(in_host "$NETTOOL" peer -udp 127.0.0.1:8081)" == 10.0.2.2:* ]]
}

@test "with --disable-host-loopback the host's loopback may still come in" {
	slirp_start --disable-host-loopback -a "$SLIRP_API"
	serve in_guest 10.0.2.100:80
	hostfwd tcp 127.0.0.1 8080 80
	hostfwd udp 127.0.0.1 8081 80
	[[ "$(in_host "$NETTOOL" peer 127.0.0.1:8080)" == 10.0.2.2:* ]]
	[[ "$(in_host "$NETTOOL" peer -udp 127.0.0.1:8081)" == 10.0.2.2:* ]]
	expect ECONNREFUSED in_peer "$NETTOOL" connect "$HOST4:8080"
}

@test "clients with addresses of the guest's own network are answered" {
	slirp_start --cidr=10.66.0.0/24 -a "$SLIRP_API" # that of the host, too
	serve in_guest 10.66.0.100:80
	hostfwd tcp 0.0.0.0 8080 80
	expect 10.66.0.2 seen_from_peer "$HOST4:8080"
}

@test "IPv6 forwards, by members of their own" {
	slirp_start -6 -a "$SLIRP_API"
	wait_for 5 in_guest sh -c 'ip -6 address show dev tap0 scope global | grep -q fd00::'
	serve in_guest "[::]:80"
	answers '{"return":{"id":1}}' '{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_addr6":"::","host_port":8080,"guest_port":80}}'
	in_guest ping -c 1 -W 2 fd00::2 # shows the guest's address
	in_peer "$NETTOOL" up -size 1000000 "[$HOST6]:8080"
	expect "[$GATEWAY6]" seen_from_peer "[$HOST6]:8080"
}

@test "connections outlive their forward, new ones are refused" {
	slirp_start -a "$SLIRP_API"
	serve in_guest 10.0.2.100:80
	hostfwd tcp 0.0.0.0 8080 80
	local held="$TOPO_DIR/held"
	(unprivileged mkfifo "$held.in")
	background in_peer sh -c "exec '$NETTOOL' hold -count 1 '$HOST4:8080' <'$held.in'" >"$held" 2>&1
	local holder=$BG_PID
	exec 8>"$held.in"
	wait_for 5 in_guest sh -c 'ss -Htn state established sport = :80 | grep -q .'
	answers '{"return":{}}' '{"execute":"remove_hostfwd","arguments":{"id":1}}'
	expect ECONNREFUSED in_peer "$NETTOOL" connect "$HOST4:8080"
	exec 8>&-
	wait_for 5 gone "$holder"
	cat "$held"
	run grep -i error "$held"
	[ "$status" -eq 1 ]
	rm -f "$held" "$held.in"
}

@test "garbage, endless and slow clients, and thousands of them" {
	slirp_start -a "$SLIRP_API"
	for _ in {1..40}; do # silent ones, more than are served
		background as_user nc -U "$SLIRP_API" # which does not shut down at the end of its input
	done
	expect '{"error":{"desc":"bad request: too large message"}}' as_user timeout 10 sh -c "timeout 3 nc -U '$SLIRP_API' </dev/zero"
	head -c 1000 /dev/urandom | as_user timeout 10 nc -NU "$SLIRP_API" | grep -q '"error"'
	as_user python3 - "$SLIRP_API" <<-'END'
		import socket, sys, threading
		bad = []
		def client():
		    for _ in range(625): # by each of 8
		        s = socket.socket(socket.AF_UNIX)
		        s.connect(sys.argv[1])
		        s.sendall(b'{"execute":"list_hostfwd"}')
		        s.shutdown(socket.SHUT_WR)
		        reply = b""
		        while part := s.recv(4096):
		            reply += part
		        if reply != b'{"return":{"entries":[]},"entries":[]}':
		            bad.append(reply)
		        s.close()
		threads = [threading.Thread(target=client) for _ in range(8)]
		for t in threads: t.start()
		for t in threads: t.join()
		sys.exit(len(bad))
	END
	in_guest ping -c 1 -W 2 10.0.2.2
}
