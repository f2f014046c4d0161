# shellcheck shell=bash
# Rootless Docker in the host of machine.bash: dockerd-rootless.sh with RootlessKit
# and pasta, as the ordinary user. Containers come from an image of busybox and
# nettool, IMAGE.

# shellcheck source=containers.bash
. "$LIB/containers.bash"
IMAGE=tools

# docker_start PORT_DRIVER [ROOTLESSKIT]: for setup_file. ROOTLESSKIT is ours from the Go
# module unless it is the one of the distribution ("sid").
docker_start() {
	machine_start
	mkdir -m 755 "$TOPO_DIR/kit"
	[ "${2-}" = sid ] || install -m 755 "$ROOTLESSKIT" "$(dirname "$ROOTLESSKIT")/rootlessctl" "$TOPO_DIR/kit"
	background as_user env "PATH=$TOPO_DIR/kit:/usr/bin:/bin:/usr/sbin:/sbin" DOCKERD_ROOTLESS_ROOTLESSKIT_NET=pasta \
		"DOCKERD_ROOTLESS_ROOTLESSKIT_PORT_DRIVER=$1" sh /usr/share/docker.io/contrib/dockerd-rootless.sh \
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

# docker_stop ends the daemon, as its service would, and waits for all of it.
docker_stop() {
	in_host pkill -TERM -x rootlesskit
	wait_for 20 no_docker
}

no_docker() { ! in_host ps -e -o comm= | grep -q -e rootless -e dockerd -e containerd -e pasta; }

# container NAME OPTIONS...: the test server in a container of that name.
container() {
	local name=$1
	shift
	docker run --detach --name "$name" "$@" "$IMAGE" nettool serve "0.0.0.0:$CONTAINER_PORT" >/dev/null
	wait_for 5 serves "$name"
}

serves() { docker logs "$1" | grep -q ready; }
