# shellcheck shell=bash
# The test network, built without root; used by the bats files and the benchmark.
#
#       guest ...pasta... host namespace ======== peer namespace
#                         10.66.0.2/24     veth   10.66.0.1/24 (gateway)
#                         fd66::2/64              fd66::1/64   (gateway)
#                         default via .1/::1      10.77.0.1/32, fd77::1/128 on lo
#
# Remote ends are 10.77.0.1 and fd77::1, because the gateway's address, seen from
# the guest, means the host's loopback. Behind the peer, 10.99.0.0/24 and
# fd99::/64 answer "host unreachable", 10.98.0.0/24 and fd98::/64 nothing at all;
# 10.66.0.99 and fd66::99 do not exist on the link.
#
# User namespaces, each with a map of the one ID that everybody may map, so that
# neither root nor newuidmap is needed:
#
#   topology (uid 0)    owns both network namespaces and a mount namespace
#     user (uid 1000)   has no capability over them: here the daemon runs, as it
#                       would run for an ordinary user of a real host
#
# Started as root, everything runs as ordinary user $TOPO_UID instead: one path
# for CI and for developers. What only root can do is done before by hack/setup.sh:
# make /dev/net/tun accessible, allow every congestion control to ordinary users
# (all namespaces of the machine see that; it is left so because other runs may
# need it).
#
# Every run has its own namespaces and directory ($TOPO_DIR), so that concurrent
# runs cannot meet. Processes are recorded with their start time and ended by PID.

TOPO_UID=1000                          # when started as root
TOPO_CC=${TOPO_CC:-cubic}              # congestion control of all namespaces
HOST4=10.66.0.2 HOST6=fd66::2          # the host, and the guest that copies it
GATEWAY4=10.66.0.1 GATEWAY6=fd66::1    # seen from the guest: host's loopback
PEER4=10.77.0.1 PEER6=fd77::1          # the remote end
export TOPO_CC HOST4 HOST6 GATEWAY4 GATEWAY6 PEER4 PEER6

# unprivileged CMD...: replace this shell by CMD, never as root.
unprivileged() {
	if [ "$(id -u)" = 0 ]; then
		exec setpriv --reuid "$TOPO_UID" --regid "$TOPO_UID" --clear-groups -- "$@"
	fi
	exec "$@"
}

# enter PID CMD...: run CMD in the user, network and mount namespaces of PID.
enter() {
	local pid=$1
	shift
	run_or_exec nsenter -t "$pid" -U -n -m --preserve-credentials -- "$@"
}

# run_or_exec CMD...: run CMD unprivileged; inside background without a further
# shell, so that the PID there is that of CMD.
run_or_exec() {
	if [ -n "${TOPO_EXEC-}" ]; then
		unprivileged "$@"
	fi
	(unprivileged "$@")
}

in_host() { enter "$(topo_pid host)" "$@"; } # with all capabilities over it
in_peer() { enter "$(topo_pid peer)" "$@"; }

# as_user CMD...: run CMD in the host namespace as the ordinary user.
as_user() {
	in_host nsenter -t "$(topo_pid user)" -U --preserve-credentials -- "$@"
}

topo_pid() { cat "$TOPO_DIR/$1.pid"; }

# background FUNCTION ARGS...: run FUNCTION (in_host, as_user, ...) in the
# background and set BG_PID to the PID of the command that it runs. Descriptors
# above 2 belong to bats, which waits until nobody has them open.
background() {
	(close_inherited && TOPO_EXEC=1 && "$@") &
	BG_PID=$!
	disown # no report when it is killed
	topo_record "$BG_PID"
}

close_inherited() {
	local fd
	for fd in "/proc/$BASHPID/fd"/*; do
		fd=${fd##*/}
		[ "$fd" -le 2 ] || eval "exec $fd>&-"
	done
}

# topo_record PID: end this process at topo_stop at the latest.
topo_record() { echo "$1 $(start_time "$1")" >>"$TOPO_DIR/processes"; }

# start_time PID: clock ticks since boot; with the PID it names a process for ever.
start_time() {
	local stat
	stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
	# shellcheck disable=SC2086 # the fields after the command's name
	set -- ${stat##*) }
	echo "${20}"
}

# wait_for SECONDS CMD...: repeat CMD until it succeeds.
wait_for() {
	local end=$((SECONDS + $1 + 1))
	shift
	until "$@" >/dev/null 2>&1; do
		if [ "$SECONDS" -ge "$end" ]; then
			echo "timed out waiting for: $*" >&2
			return 1
		fi
		sleep 0.02
	done
}

gone() { ! running "$1"; }

# running PID: it exists and is not just waiting to be reaped.
running() {
	local stat
	stat=$(cat "/proc/$1/stat" 2>/dev/null) && [[ ${stat##*) } != [ZX]* ]]
}

# kill_and_wait SIGNAL PID
kill_and_wait() {
	kill -s "$1" "$2" 2>/dev/null || true
	wait_for 5 gone "$2"
}

topo_start() {
	TOPO_DIR=$(mktemp -d "${TMPDIR:-/tmp}/pasta-net.XXXXXX")
	export TOPO_DIR
	if [ "$(id -u)" = 0 ]; then
		topo_as_root
	fi
	topo_namespaces
	TOPO_NET=$(readlink "/proc/$(topo_pid host)/ns/net")
	export TOPO_NET
	topo_files
	in_host sh -ec "$(topo_sysctls)" # before the link arrives there
	in_peer sh -ec "$(topo_sysctls); $(topo_peer_links)"
	in_host sh -ec "$(topo_host_links)"
	wait_for 5 topo_settled
}

topo_namespaces() {
	topo_holder host unshare --user --map-root-user --net --mount --propagation private
	topo_holder peer nsenter -t "$(topo_pid host)" -U -m --preserve-credentials unshare --net
	topo_holder user nsenter -t "$(topo_pid host)" -U -n -m --preserve-credentials \
		unshare --user --map-user=1000 --map-group=1000
}

# topo_settled: the kernel adds the local routes of IPv6 addresses some time after
# "ip" has returned, from a work queue that can be slow on a busy machine.
topo_settled() {
	has_local6 in_host "$HOST6" && has_local6 in_peer "$GATEWAY6" && has_local6 in_peer "$PEER6"
}

has_local6() { "$1" ip -6 route show table local | grep -q "^local $2 "; }

topo_as_root() {
	chown "$TOPO_UID:$TOPO_UID" "$TOPO_DIR"
	"$(dirname "${BASH_SOURCE[0]}")/../../../hack/setup.sh" tun congestion
}

# topo_holder NAME CMD...: a process that keeps the namespaces made by CMD.
topo_holder() {
	local name=$1
	shift
	background unprivileged "$@" sh -c "echo ready >'$TOPO_DIR/$name.ready'; exec sleep infinity"

	echo "$BG_PID" >"$TOPO_DIR/$name.pid"
	wait_for 5 test -s "$TOPO_DIR/$name.ready"
}

# topo_files gives the host a resolv.conf and a /run of its own.
topo_files() {
	echo "nameserver $GATEWAY4" >"$TOPO_DIR/resolv.conf"
	in_host sh -ec "
		resolv=\$(readlink -f /etc/resolv.conf)
		mount -t tmpfs -o mode=0755 none /run
		mkdir -p /run/netns \"\$(dirname \$resolv)\"
		[ -e \$resolv ] || : >\$resolv
		mount --bind $TOPO_DIR/resolv.conf \$resolv"
}

# topo_sysctls: no duplicate address detection for link-local addresses (on others
# nodad says so, which unlike this takes effect before "ip" returns); pings by anybody in
# the host namespace (0 is the only mapped group, the user's too). A refused
# congestion control is left as it is: topo_congestion tells.
topo_sysctls() {
	cat <<-END
		cd /proc/sys/net
		echo 0 >ipv6/conf/default/accept_dad
		echo 0 >ipv6/conf/all/accept_dad
		echo "0 0" >ipv4/ping_group_range
		echo 1 >ipv4/tcp_syn_retries
		(echo $TOPO_CC >ipv4/tcp_congestion_control) 2>/dev/null || true
		ip link set lo up
	END
}

topo_host_links() {
	cat <<-END
		cd /proc/sys/net
		ip address add $HOST4/24 dev up0
		ip address add $HOST6/64 dev up0 nodad
		echo 1 >ipv4/neigh/up0/mcast_solicit # a missing neighbour shows after 1 s
		echo 1 >ipv6/neigh/up0/mcast_solicit
		ip link set up0 up
		ip route add default via $GATEWAY4
		ip -6 route add default via $GATEWAY6
	END
}

topo_peer_links() {
	cat <<-END
		ip link add down0 type veth peer name up0 netns $(topo_pid host)
		ip address add $GATEWAY4/24 dev down0
		ip address add $GATEWAY6/64 dev down0 nodad
		ip link set down0 up
		ip address add $PEER4/32 dev lo
		ip address add $PEER6/128 dev lo nodad
		echo 1 >/proc/sys/net/ipv4/ip_forward
		echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
		echo 0 >/proc/sys/net/ipv4/icmp_ratemask # errors come for every packet, not for six
		echo 0 >/proc/sys/net/ipv6/icmp/ratelimit
		ip route add unreachable 10.99.0.0/24
		ip -6 route add unreachable fd99::/64
		ip route add blackhole 10.98.0.0/24
		ip -6 route add blackhole fd98::/64
	END
}

# topo_congestion prints the congestion control that is really in force.
topo_congestion() { in_host cat /proc/sys/net/ipv4/tcp_congestion_control; }

# topo_inhabitants prints the PIDs of all processes in the host namespace. The bracket of
# net:[NUMBER] would begin a set.
topo_inhabitants() {
	find /proc/[0-9]*/ns/net -maxdepth 0 -lname "${TOPO_NET/[/\\[}" -printf '%h\n' 2>/dev/null | cut -d / -f 3
}

# topo_stop ends everything recorded and removes the directory. The namespaces
# vanish with their last process.
topo_stop() {
	local pid started
	tac "$TOPO_DIR/processes" | while read -r pid started; do
		if [ -n "$started" ] && [ "$(start_time "$pid")" = "$started" ]; then
			kill -KILL "$pid" 2>/dev/null || true
		fi
	done
	rm -rf "$TOPO_DIR"
}
