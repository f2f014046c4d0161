# shellcheck shell=bash
# Hosts that are not the usual one: routes and families missing, several uplinks,
# no uplink at all. Every test has a network of its own and changes it first.

load helpers

setup() { network_start; }

teardown() {
	guest_end
	network_stop
}

# connected FAMILY...: TCP and UDP reach the peer over the families, not others.
connected() {
	local family
	for family in IPv4 IPv6; do
		if [[ " $* " == *" $family "* ]]; then
			client out "$family" up -size 100000
			client out "$family" udp-echo -size 100
		else
			[ "$(client out "$family" connect -timeout 5s)" != ok ]
		fi
	done
}

guest_addresses() { in_guest ip -br "$@" address show up0; }

@test "no default route: what is on the link is reachable" {
	in_host sh -ec "
		ip route del default
		ip -6 route del default"
	serve in_peer "$GATEWAY4:7001" "[$GATEWAY6]:7001"
	guest_start "$WAY"
	in_guest "$NETTOOL" up -size 1000 "$GATEWAY4:7001"
	in_guest "$NETTOOL" up -size 1000 "[$GATEWAY6]:7001"
	guest_stop
}

@test "host without IPv6 addresses" {
	in_host ip -6 address flush dev up0
	guest_start "$WAY"
	connected IPv4
	guest_stop
}

@test "host without IPv4 addresses" {
	in_host ip -4 address flush dev up0
	guest_start "$WAY"
	connected IPv6
	guest_stop
}

@test "IPv6 disabled on the host" {
	in_host sh -c "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6"
	guest_start "$WAY" -t 6001 -u none
	serve in_guest "$HOST4:6001"
	connected IPv4
	client in IPv4 up -size 1000
	guest_stop
}

@test "-4 and -6 switch the other family off" {
	guest_start "$WAY" -4
	connected IPv4
	[[ $(guest_addresses) != *"$HOST6"* ]]
	guest_stop
	guest_start "$WAY" -6
	connected IPv6
	[[ $(guest_addresses) != *"$HOST4"* ]]
	guest_stop
}

# second_uplink: up1, with another default route.
second_uplink() {
	in_host sh -ec "
		ip link add up1 type veth peer name down1
		ip address add 10.67.0.2/24 dev up1
		ip link set up1 up
		ip link set down1 up
		ip route add default via 10.67.0.1 metric 100"
}

@test "several uplinks: the one with the best metric is the template" {
	second_uplink
	guest_start "$WAY"
	[[ $(guest_addresses -4) == *"$HOST4/24"* ]]
	connected IPv4 IPv6
	guest_stop
}

@test "-i selects the template" {
	second_uplink
	guest_start "$WAY" -i up1
	in_guest ip -br address show up1 | grep -F 10.67.0.2/24
	in_guest ip route show default | grep -F "via 10.67.0.1 dev up1"
	client out IPv4 up -size 1000 # by the host's route
	guest_stop
}

@test "no uplink: local mode reaches the host's loopback" {
	in_host ip link set up0 down
	serve in_host 127.0.0.1:7001 "[::1]:7001"
	guest_start "$WAY"
	in_guest ip -br -4 address show tap0 | grep -F 169.254.2.1/16
	in_guest "$NETTOOL" up -size 1000 169.254.2.2:7001
	in_guest "$NETTOOL" udp-echo -size 100 169.254.2.2:7001
	guest_stop
}

@test "the host's MTU of 1280 does not hinder" {
	in_host ip link set up0 mtu 1280
	in_peer ip link set down0 mtu 1280
	guest_start "$WAY"
	client out IPv4 up -size 10000000
	client out IPv6 down -size 10000000
	client out IPv4 udp-echo -count 10 -size 8000
	guest_stop
}

@test "addresses, routes, MTU and loopback are those of the host" {
	in_host ip route add 10.70.0.0/16 via 10.66.0.9 metric 7
	guest_start "$WAY" -m 9000
	[[ $(guest_addresses) == *"$HOST4/24"*"$HOST6/64"* ]]
	in_guest ip link show up0 | grep -F "mtu 9000"
	in_guest ip route show default | grep -F "default via $GATEWAY4 dev up0"
	in_guest ip -6 route show default | grep -F "default via $GATEWAY6 dev up0"
	in_guest ip route | grep -F "10.70.0.0/16 via 10.66.0.9 dev up0" | grep -F "metric 7"
	in_guest ip -br link show lo | grep -F LOOPBACK,UP
	in_guest ping -c 1 -W 1 127.0.0.1
	guest_stop
}
