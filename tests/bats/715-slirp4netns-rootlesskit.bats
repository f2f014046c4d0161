# shellcheck shell=bash
# RootlessKit with --net=slirp4netns and both port drivers: Debian's 1.1, and the newest
# release, also with a detached network namespace.
# bats file_tags=root

load helpers
load lib/rootlesskit

LOCAL_PORT=7001   # on the host's loopback
FORWARD_PORT=8080 # of the host, to CHILD_PORT in the namespace
CHILD_PORT=80

setup_file() {
	rootlesskit_setup slirp4netns
	# Debian's counts IDs of a user twice that are found by number.
	echo "$(in_host getent passwd "$TOPO_UID" | cut -d: -f1):100000:65536" >"$TOPO_DIR/subid"
	serve in_host "127.0.0.1:$LOCAL_PORT"
	resolver in_peer "$GATEWAY4:53" 192.0.2.1
}

teardown_file() { network_stop; }

teardown() { rootlesskit_teardown; }

# kit OPTIONS...: RootlessKit over slirp4netns.
kit() { kit_start --net=slirp4netns --slirp4netns-binary="$TOPO_DIR/path/slirp4netns" "$@"; }

# kit_debian OPTIONS...: the same with Debian's.
kit_debian() {
	export ROOTLESSKIT=/usr/bin/rootlesskit ROOTLESSCTL=/usr/bin/rootlessctl
	kit "$@"
}

# within CMD...: in all namespaces of RootlessKit's command.
within() { as_rootless nsenter -t "$CHILD" -U -n -m --preserve-credentials -- "$@"; }

# served WHERE: a server in the namespace, entered by WHERE.
served() { serve "$1" "0.0.0.0:$CHILD_PORT"; }

# configured WHERE ADDRESS: the child has set up what it was told. RootlessKit serves
# its API before that.
configured() {
	"$1" ip -4 address show tap0 | grep -q "inet $2 " && "$1" ip route show default | grep -q "via ${2%.*}.2"
}

# works WHERE: address, route, resolver and transfers in the namespace.
works() {
	wait_for 5 configured "$1" 10.0.2.100/24
	"$1" ip link show tap0 | grep -q 'mtu 65520'
	"$1" ping -q -c 1 -W 2 10.0.2.2
	expect 192.0.2.1 "$1" dig +short +time=2 +tries=1 @10.0.2.3 name.example
	"$1" "$NETTOOL" up -size 50000000 "$PEER4:$OUT_PORT"
	"$1" "$NETTOOL" down -size 50000000 "$PEER4:$OUT_PORT"
	"$1" "$NETTOOL" udp-echo -count 100 -size 1400 "$PEER4:$OUT_PORT"
}

# publishes: a port is added, carries both protocols, and is gone when removed.
publishes() {
	ctl add-ports "0.0.0.0:$FORWARD_PORT:$CHILD_PORT/tcp" "0.0.0.0:$FORWARD_PORT:$CHILD_PORT/udp"
	expect ok from_peer "$FORWARD_PORT"
	in_peer "$NETTOOL" up -size 10000000 "$HOST4:$FORWARD_PORT"
	in_peer "$NETTOOL" udp-echo -count 20 "$HOST4:$FORWARD_PORT"
	ctl list-ports | grep -q "$FORWARD_PORT"
	ctl remove-ports 1 2
	expect ECONNREFUSED from_peer "$FORWARD_PORT"
	ctl add-ports "0.0.0.0:$FORWARD_PORT:$CHILD_PORT/tcp"
	expect ok from_peer "$FORWARD_PORT"
}

@test "Debian's, port driver slirp4netns" {
	kit_debian --port-driver=slirp4netns
	works in_child
	within grep -q '^nameserver 10.0.2.3' /etc/resolv.conf
	served in_child
	publishes
	# The client's address is propagated.
	[[ "$(in_peer "$NETTOOL" peer "$HOST4:$FORWARD_PORT")" == "$GATEWAY4":* ]]
}

@test "Debian's, port driver builtin" {
	kit_debian --port-driver=builtin
	works in_child
	served in_child
	publishes
}

@test "Debian's, port driver slirp4netns: a port that is in use" {
	kit_debian --port-driver=slirp4netns
	run ctl add-ports "127.0.0.1:$LOCAL_PORT:80/tcp"
	echo "$output"
	[ "$status" -ne 0 ]
	[[ "$output" == *slirp_add_hostfwd* ]]
}

@test "Debian's, sandbox and filter, no host loopback, IPv6" {
	kit_debian --port-driver=slirp4netns --slirp4netns-sandbox=true --slirp4netns-seccomp=true --disable-host-loopback --ipv6
	works in_child
	expect ENETUNREACH in_child "$NETTOOL" connect "10.0.2.2:$LOCAL_PORT"
	wait_for 5 in_child ping -q -c 1 -W 1 fd00::2
	expect ok in_child "$NETTOOL" connect -timeout 5s "[$PEER6]:$OUT_PORT"
	served in_child
	publishes
}

@test "Debian's, another network" {
	kit_debian --cidr 10.7.0.0/24 --mtu 1500
	wait_for 5 configured in_child 10.7.0.100/24
	in_child "$NETTOOL" up -size 5000000 "$PEER4:$OUT_PORT"
	expect ok in_child "$NETTOOL" connect "10.7.0.2:$LOCAL_PORT"
}

@test "the newest, port driver slirp4netns" {
	kit --port-driver=slirp4netns
	works in_child
	served in_child
	publishes
}

@test "the newest, port driver builtin, sandbox and filter" {
	kit --port-driver=builtin --slirp4netns-sandbox=auto --slirp4netns-seccomp=auto
	works in_child
	served in_child
	publishes
}

@test "the newest, detached" {
	kit --port-driver=builtin --detach-netns --slirp4netns-sandbox=auto --slirp4netns-seccomp=auto --disable-host-loopback
	works in_detached
	served in_detached
	publishes
}

@test "RootlessKit ends: slirp4netns follows" {
	kit_debian
	local slirp
	slirp=$(pgrep -P "$KIT" -f '/slirp4netns --mtu')
	kill -KILL "$KIT"
	wait_for 5 gone "$slirp"
	wait_for 5 no_strays
	KIT=
	rm -rf "$STATE"
}
