# shellcheck shell=bash
# What Podman does with --network slirp4netns, whatever its version. Needs podman.bash,
# and a server on the host's 127.0.0.1:7001. OPTIONS may select a port handler.

# slirp_start: for setup_file.
slirp_start() {
	podman_start
	serve in_host 127.0.0.1:7001
	resolver in_peer "$GATEWAY4:53" 192.0.2.1
	baseline
}

# slirp_is_ours: Podman runs this one.
slirp_is_ours() { podman info --format '{{.Host.Slirp4NetNS.Version}}' | grep -q '^commit: pasta-'; }

# slirped NAME[:OPTIONS] ...: a container with these options of slirp4netns.
slirped() {
	local name=${1%%:*} options=
	[[ $1 != *:* ]] || options=:${1#*:}
	container "$name" --network "slirp4netns$options" "${@:2}"
}

slirp_goes_out() {
	slirped a
	runs_pastas 1
	sends_out podman exec a
}

# slirp_first_sight: what the first command of a container has, which waits for nothing. Sandbox,
# filter and IPv6 are on.
slirp_first_sight() {
	run in_new --network slirp4netns -- sh -c "ip -o address show tap0; ip route; cat /sys/class/net/tap0/mtu
		cat /etc/resolv.conf; nettool connect 10.0.2.2:7001; nettool connect $PEER4:$OUT_PORT
		nettool connect [$PEER6]:$OUT_PORT; nslookup name.example"
	# shellcheck disable=SC2154 # set by run
	echo "$output"
	[[ "$output" == *"inet 10.0.2.100/24 "*"inet6 fd00::"*"default via 10.0.2.2 dev tap0"*65520*"nameserver 10.0.2.3"* ]]
	[[ "$output" == *"
ENETUNREACH
ok
ok
"*192.0.2.1* ]]
}

slirp_addresses() {
	slirped a
	podman exec a ip -o address show tap0 | grep -q ' 10.0.2.100/24 '
	podman exec a ip route | grep -q '^default via 10.0.2.2 dev tap0'
	expect 65520 podman exec a cat /sys/class/net/tap0/mtu
	expect "nameserver 10.0.2.3" podman exec a grep -m 1 ^nameserver /etc/resolv.conf
	wait_for 20 resolves name.example 192.0.2.1 podman exec a
}

slirp_options() {
	slirped a:mtu=1400,cidr=10.3.0.0/24
	expect 1400 podman exec a cat /sys/class/net/tap0/mtu
	podman exec a ip -o address show tap0 | grep -q ' 10.3.0.100/24 '
	reaches "$PEER4:$OUT_PORT" podman exec a
	slirped b:enable_ipv6=true,outbound_addr="$HOST4"
	wait_for 10 reaches "[$PEER6]:$OUT_PORT" podman exec b
	[[ "$(podman exec b nettool peer "$PEER4:$OUT_PORT")" == "$HOST4":* ]]
}

# slirp_loopback: it can be had, and is asked from the address that is given.
slirp_loopback() {
	slirped a
	expect ENETUNREACH podman exec a nettool connect -timeout 3s 10.0.2.2:7001
	slirped b:allow_host_loopback=true
	reaches 10.0.2.2:7001 podman exec b
	slirped c:allow_host_loopback=true,mtu=1500,cidr=10.5.0.0/24,outbound_addr="$HOST4"
	podman exec c ip -o address show tap0 | grep -q ' 10.5.0.100/24 '
	expect 1500 podman exec c cat /sys/class/net/tap0/mtu
	[[ "$(podman exec c nettool peer 10.5.0.2:7001)" == "$HOST4":* ]]
}

# slirp_ports [HANDLER]: published ports come with the container and go with it.
slirp_ports() {
	for _ in 1 2 3; do
		# shellcheck disable=SC2086 # options
		slirped "a${1:+:port_handler=$1}" $PUBLISHED
		published
		in_peer nettool up -size 10000000 "$HOST4:8080"
		in_peer nettool udp-echo -count 20 "$HOST4:8080"
		podman rm --force --time 0 a
		unpublished
	done
}

# slirp_shows_clients: with ports by slirp4netns.
slirp_shows_clients() {
	slirped a:port_handler=slirp4netns -p 8080:80
	[[ "$(in_peer nettool peer "$HOST4:8080")" == "$GATEWAY4":* ]]
}

slirp_ends() {
	slirped a -p 8080:80
	podman stop --time 0 a
	wait_for 3 no_pasta
	podman start a
	wait_for 5 reaches "$HOST4:8080" in_peer
	podman kill a
	wait_for 3 no_pasta
}
