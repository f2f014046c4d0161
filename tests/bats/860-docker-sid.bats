# shellcheck shell=bash
# Rootless Docker with the RootlessKit of the distribution: 2.0, which keeps pasta in
# the foreground, lets it configure nothing, and ends it.

# bats file_tags=root

load helpers
load lib/machine
load lib/docker

setup_file() { docker_start pasta implicit sid; }

teardown_file() { docker_stop; }

teardown() { docker_clean; }

@test "a container reaches the peer, and is reached" {
	expect "rootlesskit version 2" in_host sh -c 'rootlesskit --version | cut -d. -f1'
	container one -p 8080:80 -p 8080:80/udp
	reaches "$PEER4:$OUT_PORT" docker exec one
	reaches_udp "$PEER4:$OUT_PORT" docker exec one
	wait_for 5 reaches "$HOST4:8080" in_peer
	wait_for 5 reaches_udp "$HOST4:8080" in_peer
}
