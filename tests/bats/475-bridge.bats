# shellcheck shell=bash
# A container behind a bridge of the guest, as rootless Docker has them.

load helpers

# The guest's MTU is the default, 65520.
setup_file() {
	network_start
	guest_with_server
	container_start
	guest_save
	echo "$CONTAINER_PID" >"$TOPO_DIR/container"
}

teardown_file() { network_stop; }

setup() {
	guest_load
	CONTAINER_PID=$(cat "$TOPO_DIR/container")
}

# Whatever a test that failed has left there.
teardown() { in_guest ip link set bridge0 mtu 1500; }

# container_start: a network namespace behind a bridge of the guest, with the bridge's
# usual MTU of 1500, and addresses translated, as rootless engines make it. The
# connection tracking that this takes puts fragments together. Sets CONTAINER_PID.
container_start() {
	local ready="$TOPO_DIR/container.ready"
	background in_guest unshare --net sh -c "echo ready >'$ready'; exec sleep infinity"
	CONTAINER_PID=$BG_PID
	wait_for 5 test -s "$ready"
	in_guest nft -f - 2>"$TOPO_DIR/nft.err" <<-END || unable "no address translation: $(cat "$TOPO_DIR/nft.err")"
		table inet container {
			chain out {
				type nat hook postrouting priority srcnat
				ip saddr 172.30.0.0/24 masquerade
				ip6 saddr fd30::/64 masquerade
			}
		}
	END
	in_guest sh -ec "
		echo 1 >/proc/sys/net/ipv4/ip_forward
		echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
		ip link add bridge0 type bridge
		ip link add port0 type veth peer name eth0 netns $CONTAINER_PID
		ip link set port0 master bridge0 up
		ip address add 172.30.0.1/24 dev bridge0
		ip address add fd30::1/64 dev bridge0 nodad
		ip link set bridge0 up"
	in_container sh -ec "
		ip link set lo up
		ip address add 172.30.0.2/24 dev eth0
		ip address add fd30::2/64 dev eth0 nodad
		ip link set eth0 up
		ip route add default via 172.30.0.1
		ip -6 route add default via fd30::1"
}

in_container() { enter_guest "$CONTAINER_PID" "$@"; }

@test "UDP of 8 KB over IPv4" {
	in_container "$NETTOOL" udp-echo -count 50 -window 4 -size 8192 "$(endpoint out IPv4)"
}

# The first answer shows that it does not fit, as on any network: routers of IPv6 do not
# cut packets, they report it to who sent them.
@test "UDP of 8 KB over IPv6" {
	run in_container "$NETTOOL" udp-echo -size 8192 "$(endpoint out IPv6)"
	in_container "$NETTOOL" udp-echo -count 50 -window 4 -size 8192 "$(endpoint out IPv6)"
}

@test "ping with 3000 bytes" {
	in_container ping -c 3 -i 0.01 -W 2 -s 3000 "$PEER4" | grep " 0% packet loss"
	in_container ping -c 3 -i 0.01 -W 2 -s 3000 "$PEER6" | grep " 0% packet loss"
}

# The container's own link takes more than the bridge does, as before a tunnel.
@test "TCP to where packets have to be smaller than the container says" {
	in_guest ip link set bridge0 mtu 1300
	for family in IPv4 IPv6; do
		in_container "$NETTOOL" down -size 3000000 -timeout 10s "$(endpoint out "$family")"
	done
}

# reassembled: how many fragments the guest's own kernel put together or tried to.
reassembled() { in_guest nstat -asz IpReasmReqds Ip6ReasmReqds | awk '/Reasm/ { n += $2 } END { print n }'; }

# Without address translation nothing puts the fragments together on the way. Comes last:
# it ends the translation.
@test "fragments as the container sent them" {
	in_guest nft delete table inet container
	local before
	before=$(reassembled)
	in_container "$NETTOOL" udp-echo -count 50 -window 4 -size 8192 "$(endpoint out IPv4)"
	run in_container "$NETTOOL" udp-echo -size 8192 "$(endpoint out IPv6)"
	in_container "$NETTOOL" udp-echo -count 50 -window 4 -size 8192 "$(endpoint out IPv6)"
	in_container "$NETTOOL" udp-echo -count 20 -window 2 -size 60000 "$(endpoint out IPv4)"
	in_container "$NETTOOL" udp-echo -count 20 -window 2 -size 60000 "$(endpoint out IPv6)"
	expect "$before" reassembled
}
