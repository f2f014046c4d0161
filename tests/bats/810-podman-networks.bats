# shellcheck shell=bash
# Bridge networks of Podman: one pasta for the network namespace that all of them
# share, netavark and aardvark-dns in it, ports by rootlessport.

# bats file_tags=root

load helpers
load lib/machine
load lib/podman

CONN_PID=/run/user/1000/containers/networks/rootless-netns/rootless-netns-conn.pid

setup_file() {
	podman_start
	podman network create first
	podman network create --ipv6 second
	serve in_host "$HOST4:7002"
	resolver in_peer "$GATEWAY4:53" 192.0.2.1
	in_new --network first -- true
	baseline
}

teardown_file() { machine_stop; }

teardown() {
	podman_clean
	leaves_nothing
}

@test "a container of a network reaches the peer and the host" {
	container a --network first
	sends_out podman exec a
	reaches host.containers.internal:7002 podman exec a
}

@test "a network with IPv6 reaches the peer over both families" {
	container a --network second
	reaches "$PEER4:$OUT_PORT" podman exec a
	reaches "[$PEER6]:$OUT_PORT" podman exec a
	reaches_udp "[$PEER6]:$OUT_PORT" podman exec a
}

@test "containers know each other, and the world, by name" {
	container a --network first
	container b --network first
	reaches a:80 podman exec b
	reaches_udp b:80 podman exec a
	wait_for 20 resolves name.example 192.0.2.1 podman exec a
	[ "$(pastas | wc -l)" -eq 1 ]
}

@test "published ports, TCP and UDP" {
	# shellcheck disable=SC2086 # options
	container a --network first $PUBLISHED
	published
	reaches "[$HOST6]:8080" in_peer
}

@test "network reload, connect and disconnect" {
	container a --network first -p 8080:80
	container b --network second
	podman network reload --all
	reaches "$PEER4:$OUT_PORT" podman exec a
	reaches "$HOST4:8080" in_peer
	podman network connect second a
	wait_for 5 reaches a:80 podman exec b
	podman network disconnect second a
	reaches "$PEER4:$OUT_PORT" podman exec a
	reaches "$PEER4:$OUT_PORT" podman exec b
}

@test "the PID file names pasta, which ends with the last container" {
	local pid
	container a --network first
	container b --network second
	pid=$(pastas)
	expect "$pid" podman unshare cat "$CONN_PID"
	podman rm --force --time 0 a
	expect "$pid" pastas
	reaches "$PEER4:$OUT_PORT" podman exec b
	podman rm --force --time 0 b
	wait_for 2 no_pasta
	fails podman unshare test -e "$CONN_PID"
}

@test "a restarted container has its network again" {
	container a --network first -p 8080:80
	podman restart --time 0 a
	wait_for 5 reaches "$HOST4:8080" in_peer
	reaches "$PEER4:$OUT_PORT" podman exec a
}

@test "networks and --net=pasta side by side" {
	container a --network first -p 8080:80
	container b -p 8081:80
	[ "$(pastas | wc -l)" -eq 2 ]
	reaches "$HOST4:8080" in_peer
	reaches "$HOST4:8081" in_peer
	reaches host.containers.internal:8080 podman exec b
	reaches host.containers.internal:8081 podman exec a
}
