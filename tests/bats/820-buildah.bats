# shellcheck shell=bash
# Podman build, and Buildah: a network for each command, which goes with it.

# bats file_tags=root

load helpers
load lib/machine
load lib/podman

setup_file() {
	podman_start
	resolver in_peer "$GATEWAY4:53" 192.0.2.1
	buildah from --name work "$IMAGE"
	baseline
}

teardown_file() { machine_stop; }

teardown() { leaves_nothing; }

buildah() { detached as_user buildah "$@"; }

# build OPTIONS... -- LINE...: an image of these lines, with podman build.
build() {
	local options=() context
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	context=$(as_user mktemp -d)
	printf '%s\n' "FROM $IMAGE" "${@:2}" | as_user tee "$context/Containerfile"
	podman build --no-cache "${options[@]}" "$context"
}

@test "podman build: every step has the network" {
	build -t built -- \
		"RUN nettool up -size 1000000 $PEER4:$OUT_PORT && nettool up -size 1000000 [$PEER6]:$OUT_PORT" \
		"RUN nettool udp-echo -count 10 -size 1000 $PEER4:$OUT_PORT" \
		"RUN i=0; until nslookup -type=a name.example | grep 192.0.2.1; do i=\$((i+1)); [ \$i -lt 5 ]; done"
	podman run --rm built true
}

@test "podman build: a step that fails, and one that leaves a process" {
	run build -- "RUN nettool peer $PEER4:$OUT_PORT && false"
	[ "$status" -ne 0 ]
	build -- "RUN (sleep 1000 &) ; nettool peer $PEER4:$OUT_PORT"
}

@test "buildah run: the network, and the addresses of the host" {
	buildah run work -- nettool up -size 1000000 "$PEER4:$OUT_PORT"
	run buildah run work -- ip -o address show up0
	[[ "$output" == *"inet $HOST4/24"* && "$output" == *"inet6 $HOST6/64"* ]]
	wait_for 20 resolves name.example 192.0.2.1 buildah run work --
}

@test "pasta runs as long as the command of buildah run" {
	background as_user buildah run work -- sleep 1000 >"$BATS_TEST_TMPDIR/out" 2>&1
	wait_for 10 runs_pastas 1
	in_host kill -KILL "$(in_host pgrep -fx '/bin/sleep 1000')"
	wait_for 3 no_pasta
}

@test "options of pasta" {
	run buildah run --network pasta:-m,1400,-I,eth7 work -- cat /sys/class/net/eth7/mtu
	[ "$output" = 1400 ]
	build --network pasta:-4 -- "RUN test \$(nettool connect [$PEER6]:$OUT_PORT) = ENETUNREACH"
	run buildah run --network pasta:--foo work -- true
	echo "$output"
	[[ "$output" == *"pasta failed with exit code 1:"*"unrecognized option '--foo'"* ]]
}

@test "several builds at once" {
	local i jobs=()
	for i in 1 2 3 4; do
		build -- "RUN nettool up -size 10000000 $PEER4:$OUT_PORT" >"$BATS_TEST_TMPDIR/$i" 2>&1 3>&- &
		jobs+=($!)
	done
	for i in "${jobs[@]}"; do
		wait "$i" || { cat "$BATS_TEST_TMPDIR"/? && return 1; }
	done
}
