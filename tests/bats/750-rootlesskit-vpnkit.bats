# shellcheck shell=bash
# RootlessKit with --net=vpnkit: its options, in rows that have each pair of them in every
# combination, those of its first series, which knows fewer, and the ends of its
# parts. What vpnkit itself does is tested in 720.
# bats file_tags=root

load helpers
load lib/rootlesskit
load lib/kitmatrix
load lib/kitlife

export NETWORK=vpnkit DEFAULT_MTU=1500 OLD_ROOTLESSKIT=${ROOTLESSKIT1:?}
HOST_LOOPBACK=192.168.65.2

setup_file() { matrix_setup vpnkit; }

teardown_file() { network_stop; }

teardown() { rootlesskit_teardown; }

matrix_addresses() { export ADDRESS=192.168.65.3/24 ROUTER=192.168.65.1; }

host_loopback() {
	has disable-host-loopback && echo "$HOST_LOOPBACK EHOSTUNREACH" || echo "$HOST_LOOPBACK ok"
	echo "127.0.0.1 ECONNREFUSED"
}

server() { echo "127.0.0.1:80 [::1]:80"; }

@test "3.1: builtin" { row; }
@test "3.1: builtin disable-host-loopback mtu=65520 copy-up" { row; }
@test "3.1: builtin detach-netns mtu=65520 propagation=rslave" { row; }
@test "3.1: builtin detach-netns disable-host-loopback copy-up propagation=rslave ifname=net1" { row; }

# As dockerd-rootless.sh calls it.
@test "3.1: builtin mtu=1500 slirp4netns-sandbox=auto slirp4netns-seccomp=auto disable-host-loopback copy-up propagation=rslave detach-netns" { row; }

@test "3.1: none mtu=1280 copy-up pidns cgroupns utsns ipcns" { row; }

@test "1.1: builtin copy-up" { row; }
@test "1.1: builtin disable-host-loopback mtu=65520 copy-up propagation=rslave" { row; }
@test "1.1: none mtu=1500" { row; }

@test "the status of the command" { passes_status builtin; }
@test "ports named at the start" { publishes builtin 127.0.0.1:80; }

# RootlessKit's own client of vpnkit panics then, whatever the vpnkit.
@test "vpnkit is killed: RootlessKit ends with the next frame, and another begins" {
	begin builtin
	kill_and_wait KILL "$(daemon)"
	in_child "$NETTOOL" connect -udp -timeout 1s "$PEER4:$OUT_PORT" || true
	wait_for 5 gone "$KIT"
	KIT=
	nothing_left
	[ ! -e "$STATE" ]
	begin builtin
}

@test "RootlessKit is killed" { ends_with_kit builtin; }
@test "the child of RootlessKit is killed" { ends_with_child builtin; }

@test "RootlessKit 1.1 is killed" {
	export ROOTLESSKIT=$OLD_ROOTLESSKIT
	ends_with_kit builtin
}
