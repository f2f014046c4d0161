# shellcheck shell=bash
# Rootless Docker in the host of machine.bash: dockerd-rootless.sh with RootlessKit
# and our binary, as the ordinary user. Containers come from an image of busybox and
# nettool, IMAGE.

# shellcheck source=containers.bash
. "$LIB/containers.bash"
IMAGE=tools

# docker_start NETWORK PORT_DRIVER [ROOTLESSKIT]: for setup_file. ROOTLESSKIT is ours from
# the Go module unless it is the one of the distribution ("sid"). On the loopback of the
# host there is a server, and its resolver knows one address.
docker_start() {
	machine_start
	serve in_host 127.0.0.1:7001
	resolver in_peer "$GATEWAY4:53" 192.0.2.1
	mkdir -m 755 "$TOPO_DIR/kit"
	[ "${3-}" = sid ] || install -m 755 "$ROOTLESSKIT" "$(dirname "$ROOTLESSKIT")/rootlessctl" "$TOPO_DIR/kit"
	background as_user env "PATH=$TOPO_DIR/kit:/usr/bin:/bin:/usr/sbin:/sbin" "DOCKERD_ROOTLESS_ROOTLESSKIT_NET=$1" \
		"DOCKERD_ROOTLESS_ROOTLESSKIT_PORT_DRIVER=$2" sh /usr/share/docker.io/contrib/dockerd-rootless.sh \
		>"$TOPO_DIR/dockerd.log" 2>&1
	wait_for 60 docker info || { tail -n 20 "$TOPO_DIR/dockerd.log" >&2 && return 1; }
	tools_root | docker import - "$IMAGE"
}

# docker ARGS...: run it, without the descriptor that bats waits for.
docker() { detached as_user env DOCKER_HOST=unix:///run/user/1000/docker.sock docker "$@"; }

# docker_clean: for teardown.
docker_clean() {
	local containers
	containers=$(docker ps --all --quiet)
	# shellcheck disable=SC2086 # a list of words
	[ -z "$containers" ] || docker rm --force --volumes $containers >/dev/null
}

# docker_stop: for teardown_file, whatever setup_file came to.
docker_stop() {
	[ ! -e "${TOPO_DIR-}/dockerd.log" ] || docker_end
	machine_stop
}

# docker_end ends the daemon, as its service would, and waits for all of it.
docker_end() {
	in_host pkill -TERM -x rootlesskit
	wait_for 20 no_docker
}

no_docker() { ! in_host ps -e -o comm= | grep -q -e rootless -e dockerd -e containerd -e pasta -e slirp4netns; }

# container NAME OPTIONS...: the test server in a container of that name.
container() {
	local name=$1
	shift
	docker run --detach --name "$name" "$@" "$IMAGE" nettool serve "0.0.0.0:$CONTAINER_PORT" >/dev/null
	wait_for 5 serves "$name"
}

serves() { docker logs "$1" | grep -q ready; }

# What holds whatever the drivers are.

# goes_out: from a container.
goes_out() {
	container one
	sends_out docker exec one
}

# asks_the_resolver: by the address that RootlessKit tells.
asks_the_resolver() {
	container one
	expect "nameserver 10.0.2.3" docker exec one grep -m 1 ^nameserver /etc/resolv.conf
	wait_for 20 resolves name.example 192.0.2.1 docker exec one
}

# loopback_is_hidden: --disable-host-loopback, which the script always gives.
loopback_is_hidden() {
	container one --add-host gateway:10.0.2.2
	run docker exec one nettool connect -timeout 3s gateway:7001
	# shellcheck disable=SC2154 # set by run
	[ "$output" != ok ]
}

# ports_come_and_go: published ports, by a driver that is told of them.
ports_come_and_go() {
	for _ in 1 2 3; do
		# shellcheck disable=SC2086 # options
		container one $PUBLISHED
		published
		docker rm --force one
		unpublished
	done
}

# names_drivers NETWORK PORTS: docker version does.
names_drivers() {
	local version
	version=$(docker version | xargs)
	[[ "$version" == *" NetworkDriver: $1 PortDriver: $2 "* ]]
}
