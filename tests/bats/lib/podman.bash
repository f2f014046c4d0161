# shellcheck shell=bash
# Real Podman in the host of machine.bash, as the ordinary user. Containers come from
# an image of busybox and nettool, IMAGE; names given to them are free after each test.

# shellcheck source=containers.bash
. "$LIB/containers.bash"
IMAGE=localhost/tools

# podman_start: for setup_file. A first container makes what stays. Podman cleans up
# after it has returned.
podman_start() {
	machine_start
	tools_root | podman import -q - "$IMAGE"
	podman run --rm "$IMAGE" true
	wait_for 20 no_container
}

no_container() { ! in_host ps -e -o comm= | grep -qx conmon; }

# podman ARGS...: run it, without the descriptor that bats waits for.
podman() { detached as_user podman "$@"; }

# podman_clean: for teardown.
podman_clean() {
	podman pod rm --all --force --time 0 >/dev/null
	podman rm --all --force --time 0 >/dev/null
}

# in_new OPTIONS... -- CMD...: what CMD prints in a new container.
in_new() {
	local options=()
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	podman run --rm "${options[@]}" "$IMAGE" "${@:2}"
}

# container NAME OPTIONS...: the test server in a container of that name.
container() {
	local name=$1
	shift
	podman run --detach --name "$name" "$@" "$IMAGE" nettool serve "[::]:$CONTAINER_PORT" >/dev/null
	wait_for 20 serves "$name"
}

serves() { podman logs "$1" | grep -q ready; }

# fails_to_start TEXT OPTIONS...: Podman cannot run a container, and shows our error.
fails_to_start() {
	local text=$1
	shift
	run in_new "$@" -- true
	# shellcheck disable=SC2154 # set by run
	echo "status $status: $output"
	[ "$status" -eq 126 ] && [[ "$output" == *"pasta failed with exit code 1:
$text"* ]]
}

# baseline: at the end of setup_file. From now on, leaves_nothing asks for the same
# processes, listeners and network namespaces.
baseline() { inventory >"$TOPO_DIR/baseline"; }

# leaves_nothing: in teardown.
leaves_nothing() {
	wait_for 20 as_before || { diff "$TOPO_DIR/baseline" <(inventory) >&2 && return 1; }
}

as_before() { inventory | cmp -s "$TOPO_DIR/baseline"; }

# inventory leaves out how it is made, and Podman's keeper of the user namespace.
inventory() {
	in_host ps -e -o pid=,args= | grep -v -e 'catatonit -P' -e 'ps -e'
	in_host ss -Hltun
	podman unshare find /run/user/1000/netns -type f
}
