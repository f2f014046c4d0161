# shellcheck shell=bash
# Rootless Docker with pasta, where RootlessKit has pesto open and close the ports.
# Docker 28 cannot publish ports this way, whatever the pesto: RootlessKit 3.1 refuses
# ::ffff:10.0.2.100, as which Docker writes the namespace's address.

# bats file_tags=root

load helpers
load lib/machine
load lib/docker

setup_file() { docker_start pasta pesto; }

teardown_file() { docker_stop; }

teardown() { docker_clean; }

@test "docker version names both drivers" { names_drivers pasta pesto; }

@test "a container reaches the peer" { goes_out; }

@test "rootlessctl opens and closes the port of a service on the network that pasta made" {
	local id
	container one --net host
	for _ in 1 2 3; do
		id=$(rootlessctl add-ports 0.0.0.0:8080:80/tcp)
		reaches "$HOST4:8080" in_peer
		reaches 127.0.0.1:8080 as_user
		rootlessctl remove-ports "$id"
		refused "$HOST4:8080" in_peer
	done
}

rootlessctl() { as_user "$TOPO_DIR/kit/rootlessctl" --socket /run/user/1000/dockerd-rootless/api.sock "$@"; }
