# shellcheck shell=bash
# Published ports of Podman's containers, in all forms of -p.

# bats file_tags=root

load helpers
load lib/machine
load lib/podman

setup_file() {
	podman_start
	serve in_host "$HOST4:7000"
	baseline
}

teardown_file() { machine_stop; }

teardown() {
	podman_clean
	leaves_nothing
}

@test "-p PORT:PORT: every address of the host, TCP only" {
	container a -p 8080:80
	reaches "$HOST4:8080" in_peer
	reaches "[$HOST6]:8080" in_peer
	reaches 127.0.0.1:8080 as_user
	reaches "[::1]:8080" as_user
	reaches "$HOST4:8080" as_user
	refused_udp "$HOST4:8080" in_peer
	refused "$HOST4:80" in_peer
}

@test "-p PORT:PORT/udp: every address of the host, UDP only" {
	container a -p 8080:80/udp
	reaches_udp "$HOST4:8080" in_peer
	reaches_udp "[$HOST6]:8080" in_peer
	reaches_udp 127.0.0.1:8080 as_user
	reaches_udp "[::1]:8080" as_user
	refused "$HOST4:8080" in_peer
}

@test "the container sees the client's address" {
	container a -p 8080:80 -p 8080:80/udp
	[[ "$(in_peer nettool peer "$HOST4:8080")" == "$GATEWAY4":* ]]
	[[ "$(in_peer nettool peer "[$HOST6]:8080")" == "[$GATEWAY6]":* ]]
	[[ "$(in_peer nettool peer -udp "$HOST4:8080")" == "$GATEWAY4":* ]]
	[[ "$(in_peer nettool peer -udp "[$HOST6]:8080")" == "[$GATEWAY6]":* ]]
}

@test "-p ADDRESS:PORT:PORT: this address of the host only" {
	container a -p "$HOST4:8080:80" -p "[$HOST6]:8081:80" -p 127.0.0.1:8082:80/udp -p "[::1]:8083:80/udp"
	reaches "$HOST4:8080" in_peer
	reaches "[$HOST6]:8081" in_peer
	reaches_udp 127.0.0.1:8082 as_user
	reaches_udp "[::1]:8083" as_user
	refused 127.0.0.1:8080 as_user
	refused "[$HOST6]:8080" in_peer
	refused "$HOST4:8081" in_peer
	refused_udp "$HOST4:8082" in_peer
	refused_udp "[$HOST6]:8083" in_peer
}

@test "ranges: port by port" {
	local port
	podman run --detach --name a -p 8080-8089:80-89 -p 127.0.0.1:9000-9001:90-91/udp "$IMAGE" \
		nettool serve "[::]:80" "[::]:89" "[::]:91"
	wait_for 5 serves a
	reaches "$HOST4:8080" in_peer
	reaches "[$HOST6]:8089" in_peer
	reaches_udp 127.0.0.1:9001 as_user
	for port in 8079 8090; do
		refused "$HOST4:$port" in_peer
	done
	# Nobody listens behind these.
	for port in 8081 8088; do
		expect ECONNRESET in_peer nettool reset -timeout 5s "$HOST4:$port"
	done
}

@test "a port of the host that Podman chooses" {
	local tcp udp
	container a -p 80 -p 127.0.0.1::80/udp
	tcp=$(podman port a 80/tcp) udp=$(podman port a 80/udp)
	reaches "$HOST4:${tcp##*:}" in_peer
	reaches_udp "127.0.0.1:${udp##*:}" as_user
}

@test "--publish-all publishes what the image exposes" {
	local port
	container a --expose 80 --publish-all
	port=$(podman port a 80/tcp)
	reaches "$HOST4:${port##*:}" in_peer
}

@test "without -p nothing can be reached" {
	container a
	refused "$HOST4:80" in_peer
	refused "[$HOST6]:80" in_peer
	refused 127.0.0.1:80 as_user
}

@test "a port of the host in use: Podman shows our error, nothing is left" {
	fails_to_start 'Listen failed for HOST TCP port */7000: Address already in use' -p 7000:80
	fails_to_start "Listen failed for HOST UDP port $HOST4/7000: Address already in use" -p "$HOST4:7000:80/udp"
	container a -p 8085:80
	fails_to_start 'Listen failed for HOST TCP port */8085: Address already in use' -p 8081-8090:81-90
	reaches "$HOST4:8085" in_peer
	refused "$HOST4:8081" in_peer
}

@test "a port below 1024 is refused as ever" {
	fails_to_start 'Listen failed for HOST TCP port */80: Permission denied' -p 80:80
}

@test "the ports of a container that goes are free for the next one" {
	local i
	for i in 1 2 3 4 5; do
		container "c$i" -p 8080:80 -p 8080:80/udp
		reaches "$HOST4:8080" in_peer
		reaches_udp "$HOST4:8080" in_peer
		podman rm --force --time 0 "c$i"
	done
}

@test "containers with different ports of the host do not disturb each other" {
	container a -p 8080:80
	container b -p 8081:80
	reaches "$HOST4:8080" in_peer
	reaches "$HOST4:8081" in_peer
	# One reaches the other by the host.
	reaches host.containers.internal:8081 podman exec a
	podman rm --force --time 0 a
	reaches "$HOST4:8081" in_peer
}
