# shellcheck shell=bash
# While connections have taken all descriptors that they may, forwards are shown and
# changed as ever, on every control socket.

load helpers

LIMIT=256 # what the daemon may have open

setup_file() {
	network_start
	mkfifo "$TOPO_DIR/hold"
	chmod 666 "$TOPO_DIR/hold"
	ln -s "$PASTA" "$TOPO_DIR/pesto"
	(
		ulimit -n "$LIMIT"
		guest_start pid -t "$IN_PORT" -u none -T 7001 -U none --api-socket "$TOPO_DIR/api.sock" -c "$TOPO_DIR/conf"
		guest_save
	)
	guest_load
	serve in_guest "$HOST4:$IN_PORT" 127.0.0.1:6001
	serve in_host 127.0.0.1:7001
	serve in_peer "$PEER4:5002"
}

teardown_file() { network_stop; }

setup() {
	guest_load
	before=$(descriptors)
}

teardown() {
	[ -z "${filler-}" ] || kill_and_wait KILL "$filler"
	pesto -C HOST -C SPLICE -A -t "$IN_PORT" -T 7001
	wait_for 5 few
}

pesto() { as_user "$TOPO_DIR/pesto" "$@" "$TOPO_DIR/conf"; }

ctl() { as_user "$ROOTLESSCTL" --socket "$TOPO_DIR/api.sock" "$@"; }

# descriptors prints how many the daemon has open.
descriptors() { in_host find "/proc/$PASTA_PID/fd" -mindepth 1 | wc -l; }

# few: no more than before and what is kept ahead for connections.
few() { [ "$(descriptors)" -le $((before + 16)) ]; }

# fill WHERE ADDR: more connections than there are descriptors, until none is left for them.
fill() {
	background holder "$@"
	filler=$BG_PID
	wait_for 10 full
}

# holder WHERE ADDR: the clients, whose input never ends.
holder() { "$1" "$NETTOOL" hold -some -count $((2 * LIMIT)) -timeout 600s "$2" 0<>"$TOPO_DIR/hold" >/dev/null 2>&1; }

# full: the daemon's connections have come to the reserve, and stay there.
full() {
	local n
	n=$(descriptors)
	sleep 0.3
	[ "$n" -ge $((LIMIT - 64)) ] && [ "$(descriptors)" -eq "$n" ]
}

# usable: forwards can be shown, added and deleted on both sockets.
usable() {
	local id
	timeout 5 cat <(pesto) | grep -q "TCP \[\*\]:$IN_PORT "
	pesto -A -t 8080:6001
	pesto -D -t 8080:6001
	for _ in 1 2 3 4 5 6 7 8; do
		id=$(ctl add-ports 0.0.0.0:8081:6001/tcp)
		ctl list-ports | grep -q 8081
		ctl remove-ports "$id"
	done
}

@test "connections from outside" {
	fill in_peer "$HOST4:$IN_PORT"
	usable
}

@test "connections of the guest" {
	fill in_guest "$PEER4:5002"
	usable
}

@test "connections past the interface, from the host" {
	fill in_host "127.0.0.1:$IN_PORT"
	usable
}

@test "connections past the interface, from the namespace" {
	fill in_guest 127.0.0.1:7001
	usable
}

@test "those that had to wait are served when others leave" {
	local first
	fill in_peer "$HOST4:$IN_PORT"
	first=$filler
	background in_peer "$NETTOOL" peer -timeout 20s "$HOST4:$IN_PORT" >"$TOPO_DIR/late"
	sleep 0.5
	[ ! -s "$TOPO_DIR/late" ]
	kill_and_wait KILL "$first"
	filler=
	wait_for 20 test -s "$TOPO_DIR/late"
}
