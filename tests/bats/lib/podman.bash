# shellcheck shell=bash
# Real Podman in the host of machine.bash, as the ordinary user. Containers come from
# an image of busybox and nettool, IMAGE; names given to them are free after each test.

IMAGE=localhost/tools
CONTAINER_PORT=80 # where "serve" in a container listens, TCP and UDP

# podman_start: for setup_file. A first container makes what stays.
podman_start() {
	machine_start
	# shellcheck disable=SC2016 # for the shell in there
	as_user sh -ec '
		mkdir -p root/bin root/tmp
		cp /usr/bin/busybox /usr/local/bin/nettool root/bin/
		for name in $(busybox --list); do
			[ "$name" = busybox ] || ln -s busybox "root/bin/$name"
		done
		tar -C root -c . | podman import -q - "$0"
		podman run --rm "$0" true' "$IMAGE"
}

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
	wait_for 5 serves "$name"
}

# resolves NAME ADDRESS WHERE...: by whatever resolv.conf says there.
resolves() { "${@:3}" nslookup -type=a "$1" | grep -q "$2"; }

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

# reaches ADDR WHERE...: a transfer with the test server there, from WHERE (in_peer, as_user,
# podman exec NAME).
reaches() { "${@:2}" nettool up -size 100000 -timeout 10s "$1"; }

# reaches_udp ADDR WHERE...: the same with datagrams.
reaches_udp() { "${@:2}" nettool udp-echo -count 10 -size 1000 -timeout 10s "$1"; }

# refused ADDR WHERE...: nobody listens there.
refused() { expect ECONNREFUSED "${@:2}" nettool connect -timeout 5s "$1"; }

# refused_udp ADDR WHERE...: the same, by an ICMP error.
refused_udp() { expect ECONNREFUSED "${@:2}" nettool connect -udp -timeout 5s "$1"; }

# peer_of ADDR WHERE... [-- flags]: whom the server sees.
peer_of() { "${@:2}" nettool peer "$1"; }

# pastas prints the PIDs of all that run our binary in the host, as seen there.
pastas() { in_host find /proc -mindepth 2 -maxdepth 2 -name exe -lname /usr/bin/pasta -printf '%h\n' 2>/dev/null | sed 's,/proc/,,'; }

no_pasta() { [ -z "$(pastas)" ]; }

runs_pastas() { [ "$(pastas | wc -l)" -eq "$1" ]; }

# baseline: at the end of setup_file. From now on, leaves_nothing asks for the same
# processes, listeners and network namespaces.
baseline() { inventory >"$TOPO_DIR/baseline"; }

# leaves_nothing: in teardown.
leaves_nothing() {
	wait_for 5 as_before || { diff "$TOPO_DIR/baseline" <(inventory) >&2 && return 1; }
}

as_before() { inventory | cmp -s "$TOPO_DIR/baseline"; }

# inventory leaves out how it is made, and Podman's keeper of the user namespace.
inventory() {
	in_host ps -e -o pid=,args= | grep -v -e 'catatonit -P' -e 'ps -e'
	in_host ss -Hltun
	podman unshare find /run/user/1000/netns -type f
}
