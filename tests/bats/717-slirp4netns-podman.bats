# shellcheck shell=bash
# Podman of Debian sid with --network=slirp4netns, which runs it with sandbox, filter and
# IPv6, and both ways to publish ports.
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

# inside NETWORK SCRIPT: what a script prints in a new container of that network.
inside() { in_new --network="$1" -- sh -c "$2"; }

# published NETWORK: a container there has its port published, for both families of
# protocols.
published() {
	container a --network="$1" -p "8080:$CONTAINER_PORT" -p "8080:$CONTAINER_PORT/udp"
	in_peer "$NETTOOL" up -size 10000000 "$HOST4:8080"
	in_peer "$NETTOOL" udp-echo -count 20 "$HOST4:8080"
}

@test "it is this one that runs" {
	podman info --format '{{.Host.Slirp4NetNS.Version}}' | grep -q '^commit: pasta-'
}

@test "addresses, resolver and reach of a container" {
	run inside slirp4netns 'ip -o address show tap0; ip route; cat /sys/class/net/tap0/mtu; cat /etc/resolv.conf
		nettool connect 10.0.2.2:7001; nettool connect 10.77.0.1:5001; nettool connect "[fd77::1]:5001"; nslookup name.example'
	echo "$output"
	[[ "$output" == *"inet 10.0.2.100/24 "*"inet6 fd00::"*"default via 10.0.2.2 dev tap0"*65520*"nameserver 10.0.2.3"* ]]
	[[ "$output" == *"
ENETUNREACH
ok
ok
"*192.0.2.1* ]]
}

@test "options: loopback, MTU, network, source" {
	run inside slirp4netns:allow_host_loopback=true,mtu=1500,cidr=10.5.0.0/24,outbound_addr=10.66.0.2 \
		'ip -o address show tap0; cat /sys/class/net/tap0/mtu; nettool peer 10.5.0.2:7001'
	echo "$output"
	[[ "$output" == *"inet 10.5.0.100/24 "*1500*"
$HOST4:"* ]]
}

@test "ports by rootlesskit" { published slirp4netns; }

@test "ports by slirp4netns, which shows the client" {
	published slirp4netns:port_handler=slirp4netns
	[[ "$(in_peer "$NETTOOL" peer "$HOST4:8080")" == "$GATEWAY4":* ]]
}
