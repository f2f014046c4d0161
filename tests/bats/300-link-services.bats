# shellcheck shell=bash
# Link services with the clients that guests run: DHCP (udhcpc, dhclient), DHCPv6
# (dhclient -6), router and neighbour discovery (rdisc6, ndisc6, the kernel), ARP
# (arping). The guest starts without --config-net, so all it has comes from them.

load helpers

IF=tap0
MAC=9a:55:9a:55:9a:56

setup_file() {
	network_start
	link_guest --dhcp-dns --dhcp-search -D 10.77.0.53 -D fd77::53 -S corp.example.org -S example.org \
		-H guest1 --fqdn guest1.example.org -m 4000
	guest_save
}

teardown_file() {
	guest_load
	guest_stop
	network_stop
}

setup() { guest_load; }

# link_guest OPTIONS...: a guest whose interface is up and has no more than a
# link-local address.
link_guest() {
	local mark="$$$RANDOM.$RANDOM"
	background as_user "$PASTA" -I "$IF" -M "$MAC" "$@" -- sleep "$mark" 2>"$TOPO_DIR/pasta.err"
	# shellcheck disable=SC2034 # for guest_stop
	PASTA_PID=$BG_PID
	wait_for 10 guest_find "$mark" || { cat "$TOPO_DIR/pasta.err" >&2; return 1; }
	GUEST_PID=$(guest_find "$mark")
	topo_record "$GUEST_PID"
	in_guest sh -ec "
		echo 0 >/proc/sys/net/ipv6/conf/$IF/accept_dad
		echo 0 >/proc/sys/net/ipv6/conf/$IF/router_solicitations
		ip link set lo up
		ip link set $IF up"
	# It comes some time after the carrier, tentative for a moment; dhclient -6 and
	# rdisc6 exit until then.
	wait_for 5 in_guest sh -c "ip -6 address show dev $IF scope link -tentative | grep -q 'inet6 fe80:'"
}

# hook WORD: a script for DHCP clients that leaves its environment in $ENV when
# it is called with WORD, as argument or as \$reason.
hook() {
	DIR=$(in_guest mktemp -d "$TOPO_DIR/dhcp.XXXXXX")
	ENV=$DIR/env
	# shellcheck disable=SC2016 # for the script to expand
	printf '#!/bin/sh\nif [ "$1$reason" = %s ]; then env >%s.new; mv %s.new %s; fi\n' \
		"$1" "$ENV" "$ENV" "$ENV" | in_guest sh -c "cat >$DIR/script; chmod +x $DIR/script"
}

# env_has LINE...: the environment that hook saved has these lines.
env_has() {
	local line
	for line; do
		if ! grep -qxF "$line" "$ENV"; then
			echo "no '$line' in:" >&2
			sort "$ENV" >&2
			return 1
		fi
	done
}

# env_value NAME: one of its values.
env_value() { sed -n "s/^$1=//p" "$ENV"; }

udhcpc_once() {
	hook bound
	in_guest udhcpc -i "$IF" -f -n -q -t 3 -T 1 -s "$DIR/script" -O mtu -O search -O staticroutes
}

# dhclient_until WORD ARGS...: run dhclient until its script is called with WORD.
dhclient_until() {
	hook "$1"
	shift
	in_guest sh -c "cat >$DIR/conf" <<-'CONF'
		request subnet-mask, routers, domain-name-servers, domain-search, host-name, interface-mtu;
		also request dhcp6.name-servers, dhcp6.domain-search;
	CONF
	background in_guest dhclient "$@" -d -sf "$DIR/script" -cf "$DIR/conf" \
		-lf "$DIR/leases" -pf "$DIR/pid" "$IF" 2>"$TOPO_DIR/dhclient.err"
	local ok=0
	wait_for "${PATIENCE:-15}" test -e "$ENV" || ok=1
	kill_and_wait KILL "$BG_PID"
	return "$ok"
}

# our_link_local: as the gateway is no link-local address, we use the host's own.
our_link_local() {
	in_host ip -6 -o address show dev up0 scope link | sed -n 's/.*inet6 \([^/]*\).*/\1/p'
}

@test "udhcpc gets every option" {
	udhcpc_once
	env_has "ip=$HOST4" mask=24 "router=$GATEWAY4" "serverid=$GATEWAY4" dns=10.77.0.53 hostname=guest1 \
		mtu=4000 "search=corp.example.org example.org" lease=4294967295
}

@test "dhclient gets every option" {
	dhclient_until BOUND -4
	env_has "new_ip_address=$HOST4" new_subnet_mask=255.255.255.0 "new_routers=$GATEWAY4" \
		new_domain_name_servers=10.77.0.53 new_host_name=guest1 new_interface_mtu=4000 \
		"new_domain_search=corp.example.org. example.org." "new_dhcp_server_identifier=$GATEWAY4"
}

@test "dhclient -6 gets the host's address" {
	dhclient_until BOUND6 -6
	env_has "new_ip6_address=$HOST6" new_max_life=4294967295 new_dhcp6_name_servers=fd77::53 \
		"new_dhcp6_domain_search=corp.example.org. example.org."
}

@test "dhclient -6 -S gets resolvers without an address" {
	dhclient_until RENEW6 -6 -S
	env_has new_dhcp6_name_servers=fd77::53
}

@test "rdisc6 sees the router" {
	run in_guest rdisc6 -1 "$IF"
	echo "$output"
	[[ "$output" == *"Stateful address conf.    :          Yes"* ]]
	[[ "$output" == *"Router lifetime           :        65535"* ]]
	[[ "$output" == *"Prefix                   : $HOST6/64"* ]]
	[[ "$output" == *"MTU                      :         4000"* ]]
	[[ "$output" == *"Source link-layer address: ${MAC^^}"* ]]
	[[ "$output" == *"Recursive DNS server     : fd77::53"* ]]
	[[ "$output" == *"DNS search list          : corp.example.org example.org"* ]]
}

@test "the kernel configures IPv6 from the advertisement and reaches the peer" {
	in_guest rdisc6 -1 -q "$IF"
	wait_for 5 in_guest sh -c "ip -6 route show default | grep -q 'dev $IF proto ra'"
	wait_for 5 in_guest sh -c "ip -6 address show dev $IF scope global | grep -q 'inet6 fd66:'"
	client out IPv6 up -size 1000
}

@test "ndisc6 finds the router" {
	expect "${MAC^^}" in_guest ndisc6 -1 -q "$(our_link_local)" "$IF"
}

@test "arping: every address answers but the guest's" {
	run in_guest arping -D -c 1 -w 1 -I "$IF" "$HOST4"
	[ "$status" -eq 0 ] # nobody has it
	in_guest ip address add "$HOST4/24" dev "$IF"
	run in_guest arping -c 1 -w 5 -I "$IF" 8.8.8.8
	echo "$output"
	[[ "$output" == *"[${MAC^^}]"* ]]
}

@test "what DHCP gives reaches the peer" {
	udhcpc_once
	in_guest ip address replace "$(env_value ip)/$(env_value mask)" dev "$IF"
	in_guest ip route replace default via "$(env_value router)"
	client out IPv4 up -size 1000
}

@test "--config-net: no advertisements, but DHCP and neighbours answer" {
	guest_start "$WAY" -I "$IF" -M "$MAC"
	run in_guest rdisc6 -1 -r 1 -w 500 "$IF"
	[ "$status" -ne 0 ]
	udhcpc_once
	env_has "ip=$HOST4"
	in_guest ping -c 1 -W 5 "$PEER6"
	guest_stop
}

@test "--no-dhcp --no-dhcpv6 --no-ra: only neighbours answer" {
	link_guest --no-dhcp --no-dhcpv6 --no-ra
	run udhcpc_once
	[ "$status" -ne 0 ]
	PATIENCE=3 run dhclient_until BOUND6 -6
	[ "$status" -ne 0 ]
	run in_guest rdisc6 -1 -r 1 -w 500 "$IF"
	[ "$status" -ne 0 ]
	expect "${MAC^^}" in_guest ndisc6 -1 -q "$(our_link_local)" "$IF"
	guest_stop
}

@test "--no-ndp: neither router nor neighbours answer" {
	link_guest --no-ndp
	run in_guest rdisc6 -1 -r 1 -w 500 "$IF"
	[ "$status" -ne 0 ]
	run in_guest ndisc6 -1 -r 1 -w 500 "$(our_link_local)" "$IF"
	[ "$status" -ne 0 ]
	guest_stop
}
