# shellcheck shell=bash
# Options of pasta through Podman: --net=pasta:OPTIONS and containers.conf.

# bats file_tags=root

load helpers
load lib/machine
load lib/podman

setup_file() {
	podman_start
	serve in_host 127.0.0.1:7001 "[::1]:7001"
	resolver in_peer "$GATEWAY4:53" 192.0.2.1
	baseline
}

teardown_file() { machine_stop; }

teardown() {
	podman_clean
	leaves_nothing
}

# has ADDRESS NAME: the interface in container "a" has that address.
has() { podman exec a ip -o address show "$2" | grep -q " $1 "; }

@test "-a -g -n: addresses of one's own" {
	container a --net=pasta:-a,192.0.2.7,-g,192.0.2.1,-n,24
	has 192.0.2.7/24 up0
	[[ "$(podman exec a ip route)" == *"default via 192.0.2.1"* ]]
	reaches "$PEER4:$OUT_PORT" podman exec a
	grep -q '^192.0.2.7	' <<<"$(podman exec a cat /etc/hosts)"
}

@test "-a -g: IPv6" {
	container a --net=pasta:-a,fd00:7::7,-g,fd00:7::1
	has fd00:7::7/64 up0
	has "$HOST4/24" up0
	reaches "[$PEER6]:$OUT_PORT" podman exec a
}

@test "-a alone" {
	container a --net=pasta:-a,10.66.0.77
	has 10.66.0.77/8 up0
	reaches "$PEER4:$OUT_PORT" podman exec a
}

@test "-m: the last one wins" {
	container a --net=pasta:-m,1280,-m,1400
	expect 1400 podman exec a cat /sys/class/net/up0/mtu
	reaches "$PEER4:$OUT_PORT" podman exec a
}

@test "-4 and -6: one family" {
	container a --net=pasta:-4 -p 8080:80
	reaches "$PEER4:$OUT_PORT" podman exec a
	expect ENETUNREACH podman exec a nettool connect "[$PEER6]:$OUT_PORT"
	reaches "$HOST4:8080" in_peer
	refused "[$HOST6]:8080" in_peer
	container b --net=pasta:-6
	reaches "[$PEER6]:$OUT_PORT" podman exec b
	expect ENETUNREACH podman exec b nettool connect "$PEER4:$OUT_PORT"
}

@test "-I and -i: names of interfaces" {
	container a --net=pasta:-I,eth7,-i,up0
	has "$HOST4/24" eth7
	reaches "$PEER4:$OUT_PORT" podman exec a
}

@test "--tcp-ports and --udp-ports take addresses and interfaces" {
	container a --net=pasta:--tcp-ports,10.66.0.2%up0/8080:80,--udp-ports,::1%lo/8081:80
	reaches "$HOST4:8080" in_peer
	reaches_udp "[::1]:8081" as_user
	refused 127.0.0.1:8080 as_user
}

@test "-t auto publishes what the container listens on" {
	container a --net=pasta:-t,auto
	podman exec --detach a nettool serve "[::]:8080"
	wait_for 5 reaches "$HOST4:8080" in_peer
}

@test "-T: a service of the host's loopback" {
	container a
	refused 127.0.0.1:7001 podman exec a
	container b --net=pasta:-T,7001,-U,7001
	reaches 127.0.0.1:7001 podman exec b
	reaches "[::1]:7001" podman exec b
	reaches_udp 127.0.0.1:7001 podman exec b
}

@test "--map-gw: the gateway is the host's loopback" {
	container a --net=pasta:--map-gw
	reaches "$GATEWAY4:7001" podman exec a
	reaches "[$GATEWAY6]:7001" podman exec a
}

@test "--map-guest-addr and --dns-forward of one's own replace Podman's" {
	container a --net=pasta:--map-guest-addr,10.66.0.200,--dns-forward,10.66.0.201
	podman exec a grep -q '^10.66.0.200	host.containers.internal' /etc/hosts
	expect "nameserver 10.66.0.201" podman exec a grep -m 1 nameserver /etc/resolv.conf
	wait_for 20 resolves name.example 192.0.2.1 podman exec a
}

@test "--pid, --pcap and --log-file write the files" {
	container a --net=pasta:--pid,/home/user/pid,--pcap,/home/user/pcap,--log-file,/home/user/log
	expect "$(pastas)" as_user cat pid
	reaches "$PEER4:$OUT_PORT" podman exec a
	podman rm --force --time 0 a
	wait_for 2 no_pasta
	as_user grep -q '^pasta ' log
	[ "$(as_user stat -c %s pcap)" -gt 100000 ]
	as_user rm pid pcap log
}

@test "-d, --debug and --trace: Podman goes on, in background" {
	local option
	for option in -d --debug --trace; do
		in_new --net=pasta:$option -- nettool peer "$PEER4:$OUT_PORT"
	done
}

@test "errors of options are shown" {
	fails_to_start "pasta: unrecognized option '--foo'" --net=pasta:--foo
	fails_to_start "Invalid port specifier '8080-'" --net=pasta:-t,8080-
	fails_to_start "Invalid interface name nope: No such device" --net=pasta:-i,nope
	fails_to_start "MTU 65536 too large" --net=pasta:-m,65536
}

@test "pasta_options of containers.conf come first" {
	as_user sh -c 'mkdir -p .config/containers
		printf "[network]\npasta_options = [\"-m\", \"1300\", \"-I\", \"eth7\"]\n" >.config/containers/containers.conf'
	container a
	expect 1300 podman exec a cat /sys/class/net/eth7/mtu
	container b --net=pasta:-m,1400
	expect 1400 podman exec b cat /sys/class/net/eth7/mtu
	as_user rm .config/containers/containers.conf
}
