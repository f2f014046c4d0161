# shellcheck shell=bash
# Containers of Podman with --net=pasta: what they see, whom they reach, and how
# long pasta lives.

# bats file_tags=root

load helpers
load lib/machine
load lib/podman

setup_file() {
	podman_start
	serve in_host "$HOST4:7002" "[$HOST6]:7002"
	serve in_host 127.0.0.1:7001
	resolver in_peer "$GATEWAY4:53" 192.0.2.1
	baseline
}

teardown_file() { machine_stop; }

teardown() {
	podman_clean
	leaves_nothing
}

@test "a container has the host's interface, addresses and gateways" {
	# shellcheck disable=SC2016 # for the shell in there
	run in_new -- sh -c 'ip -o address show up0; ip route; ip -6 route; cat /sys/class/net/up0/mtu'
	echo "$output"
	[[ "$output" == *"inet $HOST4/24 "* ]]
	[[ "$output" == *"inet6 $HOST6/64 "* ]]
	[[ "$output" != *tentative* ]]
	[[ "$output" == *"default via $GATEWAY4 dev up0"* ]]
	[[ "$output" == *"default via $GATEWAY6 dev up0"* ]]
	[ "${lines[-1]}" = 65520 ]
}

@test "its loopback is up and its own" {
	container a
	reaches "127.0.0.1:$CONTAINER_PORT" podman exec a
	reaches "[::1]:$CONTAINER_PORT" podman exec a
	refused 127.0.0.1:7001 podman exec a
}

@test "/etc/hosts and /etc/resolv.conf are what Podman makes of the addresses" {
	run in_new --name a --hostname box -- cat /etc/hosts /etc/resolv.conf
	echo "$output"
	grep -q "^$HOST4	box a$" <<<"$output"
	grep -q '^169.254.1.2	host.containers.internal' <<<"$output"
	[ "$(grep -m 1 ^nameserver <<<"$output")" = "nameserver 169.254.1.1" ]
}

@test "a container reaches the peer, as the host does" {
	container a
	reaches "$PEER4:$OUT_PORT" podman exec a
	reaches "[$PEER6]:$OUT_PORT" podman exec a
	reaches_udp "$PEER4:$OUT_PORT" podman exec a
	reaches_udp "[$PEER6]:$OUT_PORT" podman exec a
	[[ "$(podman exec a nettool peer "$PEER4:$OUT_PORT")" == "$HOST4":* ]]
	in_new --cap-add NET_RAW -- ping -c 1 -W 2 "$PEER4"
	in_new --cap-add NET_RAW -- ping -c 1 -W 2 "$PEER6"
}

@test "what is refused or unreachable outside is so inside" {
	container a
	refused "$PEER4:1" podman exec a
	refused "[$PEER6]:1" podman exec a
	refused_udp "$PEER4:1" podman exec a
	expect EHOSTUNREACH podman exec a nettool connect -timeout 5s 10.99.0.1:1
}

@test "host.containers.internal is the host itself" {
	container a
	reaches host.containers.internal:7002 podman exec a
	reaches_udp host.containers.internal:7002 podman exec a
	refused "$HOST4:7002" podman exec a
}

@test "neither that nor the gateway is the host's loopback" {
	container a
	refused host.containers.internal:7001 podman exec a
	refused "$GATEWAY4:7001" podman exec a
}

@test "names are resolved by the resolver of the host" {
	container a
	wait_for 20 resolves name.example 192.0.2.1 podman exec a
	expect ok podman exec a nettool connect 169.254.1.1:53
	# Another one is reached by its own address.
	container b --dns "$GATEWAY4"
	expect "nameserver $GATEWAY4" podman exec b grep -m 1 nameserver /etc/resolv.conf
	wait_for 20 resolves name.example 192.0.2.1 podman exec b
}

@test "the network outlives a restart, with the ports" {
	container a -p 8080:80
	podman restart --time 0 a
	wait_for 5 reaches "$HOST4:8080" in_peer
	podman exec a nettool peer "$PEER4:$OUT_PORT"
	[ "$(pastas | wc -l)" -eq 1 ]
	podman stop --time 0 a
	wait_for 2 no_pasta
	podman start a
	wait_for 5 reaches "$HOST4:8080" in_peer
}

@test "pasta ends with the container, however that ends" {
	container a
	[ "$(pastas | wc -l)" -eq 1 ]
	podman kill a
	wait_for 2 no_pasta
	container b
	in_host kill -KILL "$(podman inspect -f '{{.State.Pid}}' b)"
	wait_for 2 no_pasta
}

@test "the containers of a pod share one network" {
	podman pod create --name pod -p 8080:80
	container a --pod pod
	podman run --rm --pod pod "$IMAGE" nettool peer 127.0.0.1:80
	reaches "$HOST4:8080" in_peer
	[ "$(pastas | wc -l)" -eq 1 ]
	podman pod stop --time 0 pod
	wait_for 2 no_pasta
}

@test "a container can join the network of another one" {
	container a
	in_new --net=container:a -- nettool peer 127.0.0.1:80
	in_new --net=container:a -- nettool peer "$PEER4:$OUT_PORT"
}

@test "several containers have a network each" {
	local name
	for name in a b c; do
		container "$name"
		reaches "$PEER4:$OUT_PORT" podman exec "$name"
	done
	[ "$(pastas | wc -l)" -eq 3 ]
	podman rm --force --time 0 b
	wait_for 2 runs_pastas 2
	reaches "$PEER4:$OUT_PORT" podman exec a
	reaches "$PEER4:$OUT_PORT" podman exec c
}

@test "podman info shows our version and where it is" {
	expect "$("$PASTA" --version | head -n 1)" first_line podman info -f '{{.Host.Pasta.Version}}'
	expect /usr/bin/pasta podman info -f '{{.Host.Pasta.Executable}}'
}

first_line() { "$@" | head -n 1; }

@test "helper_binaries_dir chooses another pasta" {
	as_user sh -ec '
		mkdir -p helpers .config/containers
		printf "#!/bin/sh\n: >/home/user/called\nexec /usr/bin/pasta \"\$@\"\n" >helpers/pasta
		chmod +x helpers/pasta
		printf "[engine]\nhelper_binaries_dir = [\"/home/user/helpers\", \"/usr/lib/podman\", \"/usr/libexec/podman\"]\n" \
			>.config/containers/containers.conf'
	in_new -- nettool peer "$PEER4:$OUT_PORT"
	as_user rm .config/containers/containers.conf called
}
