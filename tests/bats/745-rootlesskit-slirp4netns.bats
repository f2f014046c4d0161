# shellcheck shell=bash
# RootlessKit with --net=slirp4netns: its options, in rows that have each pair of them in
# every combination (an orthogonal array for the port driver slirp4netns), also those
# of Debian's 1.1, and the ends of its parts.
# bats file_tags=root

load helpers
load lib/rootlesskit
load lib/kitmatrix
load lib/kitlife

export NETWORK=slirp4netns DEFAULT_MTU=65520 OLD_ROOTLESSKIT=/usr/bin/rootlesskit

setup_file() { matrix_setup slirp4netns; }

teardown_file() { network_stop; }

teardown() { rootlesskit_teardown; }

matrix_addresses() {
	local cidr
	cidr=$(option cidr 10.0.2.0/24)
	ADDRESS=${cidr%.*}.100/${cidr#*/} ROUTER=${cidr%.*}.2
}

host_loopback() {
	local want=ok
	! has disable-host-loopback || want=ENETUNREACH
	echo "$ROUTER $want"
	! has ipv6 || echo "[fd00::2] $want"
	echo "127.0.0.1 ECONNREFUSED"
}

server() { [ "$DRIVER" = builtin ] && echo "127.0.0.1:80 [::1]:80" || echo "${ADDRESS%/*}:80"; }

ports_slirp4netns() {
	expect "1
2" ctl add-ports ":8080:80/tcp" "$HOST4:8080:80/udp"
	sees "$HOST4:8080" "$GATEWAY4"
	refused "[$HOST6]:8080"
	[[ "$(as_rootless "$NETTOOL" peer 127.0.0.1:8080)" == "$ROUTER:"* ]]
	expect "1
2" ctl remove-ports 1 2
	closed in_peer "$HOST4:8080"
}

@test "3.1: slirp4netns" { row; }
@test "3.1: slirp4netns copy-up mtu=1500 cidr=10.5.6.0/24 slirp4netns-sandbox=true" { row; }
@test "3.1: slirp4netns ipv6 disable-host-loopback cidr=192.168.77.0/25 slirp4netns-sandbox=auto" { row; }
@test "3.1: slirp4netns ipv6 disable-host-loopback copy-up mtu=1500 slirp4netns-seccomp=true" { row; }
@test "3.1: slirp4netns detach-netns disable-host-loopback mtu=1500 slirp4netns-sandbox=auto" { row; }
@test "3.1: slirp4netns detach-netns disable-host-loopback copy-up cidr=10.5.6.0/24" { row; }
@test "3.1: slirp4netns detach-netns ipv6 mtu=1280 cidr=172.16.0.0/12 slirp4netns-seccomp=auto" { row; }
@test "3.1: slirp4netns detach-netns ipv6 copy-up propagation=rslave ifname=net1" { row; }

@test "3.1: builtin" { row; }
@test "3.1: builtin ipv6 copy-up mtu=1500 slirp4netns-sandbox=true slirp4netns-seccomp=true" { row; }
@test "3.1: builtin cidr=10.5.6.0/24 disable-host-loopback pidns cgroupns utsns ipcns" { row; }

# As dockerd-rootless.sh calls it.
@test "3.1: builtin mtu=65520 slirp4netns-sandbox=auto slirp4netns-seccomp=auto disable-host-loopback copy-up propagation=rslave detach-netns" { row; }

@test "3.1: none disable-host-loopback" { row; }

@test "1.1: slirp4netns" { row; }
@test "1.1: slirp4netns ipv6 disable-host-loopback copy-up mtu=1500" { row; }
@test "1.1: slirp4netns cidr=10.5.6.0/24 slirp4netns-sandbox=auto slirp4netns-seccomp=auto copy-up" { row; }

# As its dockerd-rootless.sh does.
@test "1.1: builtin mtu=65520 slirp4netns-sandbox=auto slirp4netns-seccomp=auto disable-host-loopback copy-up propagation=rslave" { row; }

@test "the status of the command" { passes_status slirp4netns; }
@test "ports named at the start" { publishes slirp4netns 10.0.2.100:80; }
@test "slirp4netns is killed" { outlives_daemon slirp4netns; }
@test "a slirp4netns that was killed can be started again" { resumes builtin; }
@test "RootlessKit is killed" { ends_with_kit slirp4netns; }
@test "the child of RootlessKit is killed" { ends_with_child slirp4netns; }

@test "RootlessKit 1.1 is killed" {
	export ROOTLESSKIT=$OLD_ROOTLESSKIT
	ends_with_kit slirp4netns
}

@test "starting takes" {
	compare_starts slirp4netns slirp4netns "$(/usr/bin/slirp4netns --version | head -n 1)" /usr/bin/slirp4netns
}
