# shellcheck shell=bash
# Rootless Docker with pasta and implicit ports, started by its own script.

# bats file_tags=root

load helpers
load lib/machine
load lib/docker

setup_file() { docker_start pasta implicit; }

teardown_file() { docker_stop; }

teardown() { docker_clean; }

@test "a container reaches the peer" { goes_out; }

# The container's MTU is 1500: requests leave it in fragments, and answers are longer.
@test "UDP of 8 and 60 KB, from a container and to one" {
	container one -p 8080:80/udp
	docker exec one nettool udp-echo -count 50 -window 4 -size 8192 "$PEER4:$OUT_PORT"
	wait_for 5 reaches_udp "$HOST4:8080" in_peer
	in_peer "$NETTOOL" udp-echo -count 50 -window 4 -size 8192 "$HOST4:8080"
	docker exec one ping -c 3 -s 3000 "$PEER4"
	# Many fragments make it likely that a busy machine loses one.
	wait_for 30 docker exec one nettool udp-echo -count 5 -window 1 -size 60000 -timeout 5s "$PEER4:$OUT_PORT"
	wait_for 30 in_peer nettool udp-echo -count 5 -window 1 -size 60000 -timeout 5s "$HOST4:8080"
}

# Behind the bridge, segments overtake each other and queues drop some.
@test "uploads do not stall, whatever the congestion control" {
	local control
	for control in reno cubic bbr; do
		for _ in 1 2 3 4; do
			docker run --rm --sysctl "net.ipv4.tcp_congestion_control=$control" "$IMAGE" \
				nettool up -size 200000000 -timeout 20s "$PEER4:$OUT_PORT"
		done
	done
}

@test "names are resolved by the resolver of the host" { asks_the_resolver; }

@test "containers of a network know each other, and the world, by name" {
	docker network create net
	container one --network net
	container two --network net
	reaches one:80 docker exec two
	reaches_udp two:80 docker exec one
	wait_for 20 resolves name.example 192.0.2.1 docker exec one
	docker_clean
	docker network rm net
}

@test "published ports: TCP, UDP, addresses, ranges" {
	container one -p 8080:80 -p 8080:80/udp -p 127.0.0.1:8081:80 -p 8090-8092:80-82
	wait_for 5 reaches "$HOST4:8080" in_peer
	wait_for 5 reaches_udp "$HOST4:8080" in_peer
	wait_for 5 reaches "$HOST4:8090" in_peer
	wait_for 5 reaches 127.0.0.1:8081 as_user
	reaches 127.0.0.1:8080 as_user
	[[ "$(in_peer nettool peer "$HOST4:8080")" == "$GATEWAY4":* ]]
	docker rm --force one
	wait_for 5 refused "$HOST4:8080" in_peer
}

@test "the host's loopback cannot be reached" { loopback_is_hidden; }

@test "docker build has the network in every step" {
	local context
	context=$(as_user mktemp -d)
	as_user tee "$context/Dockerfile" <<-END
		FROM $IMAGE
		RUN nettool up -size 1000000 $PEER4:$OUT_PORT
		RUN i=0; until nslookup -type=a name.example | grep 192.0.2.1; do i=\$((i+1)); [ \$i -lt 5 ]; done
	END
	docker build --no-cache -t built "$context"
	docker run --rm built true
}

@test "--net host: the network that pasta made" {
	run docker run --rm --net host "$IMAGE" ip -o address show tap0
	[[ "$output" == *"inet 10.0.2.100/24"* ]]
}

@test "docker version names the network driver" {
	run docker version
	[[ "$(words "${lines[*]}")" == *"rootlesskit: Version: 3"*"NetworkDriver: pasta"* ]]
}

words() { xargs <<<"$*"; }

@test "a restarted container has its network and ports again" {
	container one -p 8080:80
	wait_for 5 reaches "$HOST4:8080" in_peer
	docker restart --timeout 0 one
	wait_for 5 reaches "$HOST4:8080" in_peer
	reaches "$PEER4:$OUT_PORT" docker exec one
}
