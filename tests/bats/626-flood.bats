# shellcheck shell=bash
# While the guest sends datagrams to 20,000 destinations, connections can be made in both
# directions and past the interface, and other datagrams are answered. What the flood took
# is given back.

load helpers

LIMIT=256 # what the daemon may have open

setup_file() {
	network_start
	(
		ulimit -n "$LIMIT"
		guest_start pid -t "$IN_PORT" -u none -T 7001 -U none
		guest_save
	)
	guest_load
	serve in_guest "$HOST4:$IN_PORT" 127.0.0.1:6001
	serve in_host 127.0.0.1:7001
	serve in_peer "$PEER4:5002"
}

teardown_file() { network_stop; }

setup() { guest_load; }

# descriptors prints how many the daemon has open.
descriptors() { in_host find "/proc/$PASTA_PID/fd" -mindepth 1 | wc -l; }

more_than() { [ "$(descriptors)" -gt "$1" ]; }

few() { [ "$(descriptors)" -le "$1" ]; }

# scatter: one datagram from a port of its own to each of 20,000.
scatter() {
	# shellcheck disable=SC2016 # for the other shell
	in_guest bash -c 'for port in {20001..40000}; do echo x >"/dev/udp/$1/$port"; done' - "$PEER4"
}

# carries WHERE ADDR: one connection after the other.
carries() {
	for _ in 1 2 3 4 5; do
		"$1" "$NETTOOL" up -size 1 -timeout 5s "$2"
	done
}

@test "datagrams to 20,000 destinations" {
	local before flood
	carries in_guest "$PEER4:5002"
	carries in_peer "$HOST4:$IN_PORT"
	carries in_guest 127.0.0.1:7001 # with what is kept ahead from here on
	before=$(descriptors)
	background scatter >/dev/null
	flood=$BG_PID
	wait_for 10 more_than $((LIMIT / 2))
	carries in_guest "$PEER4:5002"
	carries in_peer "$HOST4:$IN_PORT"
	carries in_guest 127.0.0.1:7001
	in_guest "$NETTOOL" udp-echo -count 10 -size 100 -timeout 5s "$PEER4:5002"
	[ "$(descriptors)" -le $((LIMIT * 3 / 4)) ]
	wait "$flood"
	carries in_guest "$PEER4:5002"
	# The last ones are unused for half a minute; the one that was answered stays.
	wait_for 45 few $((before + 1))
}
