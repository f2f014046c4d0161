# shellcheck shell=bash
# Rows of the matrix of RootlessKit and its options (74x, 750): a test whose name is
#
#	RELEASE: PORT_DRIVER [OPTION...]
#
# starts that RootlessKit with --OPTION for each OPTION ("copy-up" is short for those of
# dockerd-rootless.sh) and checks, as it follows from them, what the command has:
# interface, ways out, names, the host's loopback, published ports. What is the
# network driver's own is in functions of the file:
#
#   matrix_addresses   sets ADDRESS (with prefix length) and ROUTER from --cidr
#   host_loopback      prints the addresses that lead to the host's loopback, each with
#                      what a connection to it gets
#   server             prints the addresses of a server in the network
#   ports_DRIVER       checks the ports that lead to it; for those that RootlessKit has
#                      itself it is here
#
# Needs helpers.bash and rootlesskit.bash; NETWORK is the driver's name, DEFAULT_MTU its MTU,
# OLD_ROOTLESSKIT the RootlessKit of rows that do not begin with 3.1.

LOCAL_PORT=7001       # on the host's loopback
NAME4=192.0.2.4       # what the host's IPv4 nameserver says about every name
NAME6=192.0.2.6       # and the one that is asked over IPv6

# matrix_setup NAMES...: for setup_file, after which $TOPO_DIR/path has the programs NAMES.
matrix_setup() {
	rootlesskit_setup "$@"
	echo "nameserver $GATEWAY6" >>"$TOPO_DIR/resolv.conf"
	resolver in_peer "$GATEWAY4:53" "$NAME4"
	resolver in_peer "[$GATEWAY6]:53" "$NAME6"
	serve in_host "127.0.0.1:$LOCAL_PORT" "[::1]:$LOCAL_PORT"
	host_state >"$TOPO_DIR/before"
}

# host_state prints the sockets and mounts of the host's namespaces.
host_state() {
	in_host ss -H -a -n -t -u -x -l | awk '{ print $1, $5 }' | sort
	in_host cut -d ' ' -f 5 /proc/self/mountinfo
}

# row: the test that its name describes.
row() {
	local server
	row_start
	# shellcheck disable=SC2046 # addresses
	serve in_network $(server)
	server=$BG_PID
	row_interface
	row_out
	row_names
	row_loopback
	"ports_$DRIVER"
	kill_and_wait KILL "$server"
	kit_end
	nothing_left
}

# row_start sets DRIVER, the port driver, and WORDS, the options.
row_start() {
	local word options=()
	[[ "$BATS_TEST_DESCRIPTION" == 3.1:* ]] || export ROOTLESSKIT=$OLD_ROOTLESSKIT
	read -ra WORDS <<<"${BATS_TEST_DESCRIPTION#*: }"
	DRIVER=${WORDS[0]} WORDS=("${WORDS[@]:1}")
	for word in "${WORDS[@]}"; do
		[ "$word" = copy-up ] && options+=(--copy-up=/etc --copy-up=/run) || options+=("--$word")
	done
	matrix_addresses
	matrix_start "$DRIVER" "${options[@]}"
}

# matrix_start PORT_DRIVER OPTIONS...: RootlessKit, which FAMILY consists of.
matrix_start() {
	kit_start_in "$TOPO_DIR/state" --net="$NETWORK" --port-driver="$1" "${@:2}"
	FAMILY=$(family "$KIT")
}

# has WORD: the row has this option.
has() { [[ " ${WORDS[*]} " == *" $1 "* ]]; }

# option NAME DEFAULT: the value of --NAME=VALUE.
option() {
	local word
	for word in "${WORDS[@]}"; do
		[ "${word%%=*}" != "$1" ] || { echo "${word#*=}" && return; }
	done
	echo "$2"
}

# in_network CMD...: in the network namespace.
in_network() {
	local where=in_child
	has detach-netns && where=in_detached
	"$where" "$@"
}

# within CMD...: as RootlessKit's command, whose network namespace is the host's when
# ours is a detached one.
within() {
	local net=-n
	has detach-netns && net=
	# shellcheck disable=SC2086 # none or a word
	as_rootless nsenter -t "$CHILD" -U -m $net --preserve-credentials -- "$@"
}

row_interface() {
	local name
	name=$(option ifname tap0)
	expect "$(option mtu "$DEFAULT_MTU")" interface "$name" .mtu
	expect "$ADDRESS" interface "$name" '.addr_info[] | select(.family == "inet") | "\(.local)/\(.prefixlen)"'
	expect "$ROUTER $name" in_network sh -c "ip -4 -json route show default | jq -r '.[] | \"\(.gateway) \(.dev)\"'"
}

# interface NAME FILTER: what jq finds in the description of the interface.
interface() { in_network ip -json address show "$1" | jq -r ".[] | $2"; }

row_out() {
	carries "$PEER4:$OUT_PORT"
	if has ipv6; then
		wait_for 8 has_ipv6
		carries "[$PEER6]:$OUT_PORT"
	else
		expect ENETUNREACH in_network "$NETTOOL" connect "[$PEER6]:$OUT_PORT"
	fi
}

has_ipv6() { [ "$(in_network "$NETTOOL" connect "[$PEER6]:$OUT_PORT")" = ok ]; }

# carries ADDR: data and datagrams in both directions.
carries() {
	in_network "$NETTOOL" up -size 2000000 "$1"
	in_network "$NETTOOL" down -size 2000000 "$1"
	in_network "$NETTOOL" udp-echo -count 10 -size 1400 "$1"
}

# row_names: each nameserver that RootlessKit wrote down answers, and so does the libc
# where the file is put in its place.
row_names() {
	local server servers file=/etc/resolv.conf
	! has detach-netns || file=$STATE/resolv.conf
	servers=$(within sed -n 's/^nameserver //p' "$file")
	echo "nameservers: $servers"
	[ -n "$servers" ]
	for server in $servers; do
		if [[ "$server" == *:* ]]; then
			expect "$NAME6" look_up "@$server"
		else
			expect "$NAME4" look_up "@$server"
			expect "$NAME4" look_up +tcp "@$server"
		fi
	done
	has detach-netns || within getent ahostsv4 name.example | grep -q "^$NAME4 "
}

look_up() { in_network dig +short +time=3 +tries=1 "$@" name.example; }

row_loopback() {
	local addr want
	while read -r addr want; do
		expect "$want" in_network "$NETTOOL" connect -timeout 5s "$addr:$LOCAL_PORT"
		if [ "$want" = ok ]; then
			in_network "$NETTOOL" udp-echo -count 5 "$addr:$LOCAL_PORT"
		fi
	done < <(host_loopback)
}

# sees ADDR WANT: TCP and UDP clients in the peer are answered there, and the server
# sees them at WANT.
sees() {
	local protocol
	for protocol in "" -udp; do
		# shellcheck disable=SC2086 # none or a word
		[[ "$(in_peer "$NETTOOL" peer $protocol "$1")" == "$2:"* ]] || {
			echo "peer $protocol $1: not $2" >&2
			return 1
		}
	done
}

# echoes ADDR: TCP and UDP clients in the peer are answered there.
echoes() {
	expect ok in_peer "$NETTOOL" connect -timeout 5s "$1"
	in_peer "$NETTOOL" udp-echo -count 5 "$1"
}

# refused ADDR: nothing is behind that port, seen from the peer.
refused() { expect ECONNREFUSED in_peer "$NETTOOL" connect -timeout 5s "$1"; }

# answered ADDR: something is.
answered() { [ "$(in_peer "$NETTOOL" connect -timeout 5s "$1")" = ok ]; }

# What follows from the port drivers none and builtin; the server is on port 80.
ports_none() {
	refused "$HOST4:80"
	fails_with "no PortDriver is available" ctl add-ports ":8080:80/tcp"
}

ports_builtin() {
	expect "1
2" ctl add-ports ":8080:80/tcp" ":8080:80/udp"
	echoes "$HOST4:8080"
	echoes "[$HOST6]:8080"
	expect ok from_host 8080
	expect "1
2" ctl remove-ports 1 2
	closed in_peer "$HOST4:8080"
}

# family PID: the process and its descendants, each as "PID START".
family() {
	local pid
	echo "$1 $(start_time "$1")"
	for pid in $(pgrep -P "$1"); do
		family "$pid"
	done
}

# nothing_left: the processes of FAMILY are gone, which were all that had the namespaces of the
# command, and the host's namespaces are as before.
nothing_left() {
	wait_for 5 no_strays
	wait_for 5 family_gone
	expect "$(cat "$TOPO_DIR/before")" host_state
}

family_gone() {
	local pid started
	while read -r pid started; do
		[ "$(start_time "$pid")" != "$started" ] || return
	done <<<"$FAMILY"
}
