# shellcheck shell=bash
# The compared tools: where they come from and how a guest is connected with each.
#
# An instance is one tool at one MTU, started when first used and kept, so that
# memory after load can be seen. Arrays by "TOOL MTU":
#   GUEST   PID of a process in the guest's namespaces (direct: the host's)
#   DAEMON  PID of the daemon (direct: none)
#   PORT    first of its inbound ports on the host
#   CONTROL path of its control socket (pasta and passt)

# shellcheck disable=SC2034 # read in measures.bash
declare -A GUEST=() DAEMON=() PORT=() CONTROL=() REASON=()
PASST=(pasta) PESTO=(pesto) SLIRP=(slirp4netns)
NEXT_PORT=20000
# shellcheck source=../../hack/tree.bash
. "$REPO/hack/tree.bash"
CACHE=$TREES/pasta-bench

# prepare_tools sets the commands of passt and slirp4netns: sid's, run with their
# own libraries, or the installed ones.
prepare_tools() {
	ln -s "$PASTA" "$TOPO_DIR/pesto"
	if [ -n "$DOWNLOAD" ] && [[ $TOOLS == *passt* || $TOOLS == *slirp* ]]; then
		if fetch_sid >"$TOPO_DIR/fetch.log" 2>&1; then
			use_sid
		else
			echo "no packages from sid ($(tail -n 1 "$TOPO_DIR/fetch.log")), comparing with the installed ones" >&2
		fi
	fi
}

# fetch_sid unpacks passt, slirp4netns and all libraries from Debian sid below
# CACHE, once a day at most. apt works on directories of its own and checks the
# archive's signature as always; only the date limit is lifted, for machines
# whose clock or mirror is off.
fetch_sid() {
	local uri options
	if [ -n "$(find "$CACHE/root" -maxdepth 0 -mtime -1 2>/dev/null)" ]; then
		return
	fi
	uri=$(tree_archive) || return
	mkdir -p "$CACHE"/{etc,state/lists/partial,cache/archives/partial}
	: >"$CACHE/state/status"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri sid main" >"$CACHE/etc/sources.list"
	options=(-q -o "Dir::State=$CACHE/state" -o "Dir::State::status=$CACHE/state/status"
		-o "Dir::Cache=$CACHE/cache" -o "Dir::Etc::sourcelist=$CACHE/etc/sources.list"
		-o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferencesparts=/dev/null
		-o Acquire::Languages=none -o Acquire::Check-Valid-Until=false
		-o APT::Install-Recommends=false -o Acquire::Retries=2)
	timeout 120 apt-get "${options[@]}" update || return
	rm -f "$CACHE"/cache/archives/*.deb
	timeout 120 apt-get "${options[@]}" --yes --download-only install passt slirp4netns || return
	unpack_sid
}

unpack_sid() {
	local package
	rm -rf "$CACHE/root.new" "$CACHE/root"
	for package in "$CACHE"/cache/archives/*.deb; do
		dpkg-deb --extract "$package" "$CACHE/root.new" || return
	done
	mv "$CACHE/root.new" "$CACHE/root"
	touch "$CACHE/root"
}

# use_sid runs sid's binaries through sid's loader, from a copy that the ordinary
# user can read. As the package does, the AVX2 build is used where it runs.
use_sid() {
	local root=$TOPO_DIR/sid loader passt
	cp -r "$CACHE/root" "$root"
	chmod -R a+rX "$root"
	loader=$(find "$root" -name 'ld-linux*.so.*' | head -n 1)
	passt=$root/usr/bin/pasta
	if grep -qw avx2 /proc/cpuinfo && [ -e "$passt.avx2" ]; then
		passt=$passt.avx2
	fi
	PASST=("$loader" --library-path "$(dirname "$(find "$root" -name 'libc.so.6' | head -n 1)")" "$passt")
	PESTO=("${PASST[@]:0:3}" "$root/usr/bin/pesto")
	SLIRP=("${PASST[@]:0:3}" "$root/usr/bin/slirp4netns")
}

version_of() {
	case $1 in
	pasta) "$PASTA" --version | head -n 1 ;;
	passt) "${PASST[@]}" --version 2>/dev/null | head -n 1 ;;
	slirp4netns) "${SLIRP[@]}" --version | head -n 1 ;;
	direct) echo "veth" ;;
	esac
}

# instance TOOL MTU: start it unless that has been tried. Fails if it did not work,
# with the reason in REASON.
instance() {
	local key="$1 $2"
	if [ -z "${PORT[$key]-}" ]; then
		PORT[$key]=$NEXT_PORT
		NEXT_PORT=$((NEXT_PORT + 10))
		if "start_$1" "$2" >"$TOPO_DIR/start.log" 2>&1; then
			GUEST[$key]=$GUEST_PID
			CONTROL[$key]=$TOPO_DIR/${PORT[$key]}.conf
			DAEMON[$key]=$PASTA_PID
			prepare_guest "$1" "$2" >>"$TOPO_DIR/start.log" 2>&1 || true
		else
			REASON[$key]="does not start: $(tail -n 1 "$TOPO_DIR/start.log")"
		fi
	fi
	[ -n "${GUEST[$key]-}" ]
}

# prepare_guest sets the congestion control and starts the test server.
prepare_guest() {
	local key="$1 $2"
	guest_congestion "$1" "$2" "${GUEST_CC:-$TOPO_CC}"
	serve_in "$1" "$2" serve $((PORT[$key] + 2))
	serve_in "$1" "$2" serve-lean $((PORT[$key] + 3))
}

# guest_congestion TOOL MTU NAME: for connections that begin from now on.
guest_congestion() { inside "$1" "$2" sh -c "echo $3 >/proc/sys/net/ipv4/tcp_congestion_control"; }

# serve_in TOOL MTU SUBCOMMAND PORT: over IPv6 too, where the guest has that.
serve_in() {
	GUEST_PID=${GUEST["$1 $2"]}
	serve_by "$3" in_guest "$(guest_address "$1" 4):$4" "$(guest_address "$1" 6):$4" ||
		serve_by "$3" in_guest "$(guest_address "$1" 4):$4"
}

# inside TOOL MTU CMD...: run CMD in the instance's guest.
inside() {
	local pid=${GUEST["$1 $2"]}
	shift 2
	enter_guest "$pid" "$@"
}

# guest_address TOOL FAMILY: where servers in the guest listen.
guest_address() {
	case "$1 $2" in
	"slirp4netns 4") echo 10.0.2.100 ;;
	"slirp4netns 6") echo "[::]" ;;
	*" 4") echo "$HOST4" ;;
	*) echo "[$HOST6]" ;;
	esac
}

# inbound_ports: iperf3's and the test servers'.
inbound_ports() { echo "$((NEXT_PORT - 9)),$((NEXT_PORT - 8)),$((NEXT_PORT - 7))"; }

start_direct() {
	GUEST_PID=$(topo_pid host)
	PASTA_PID=
}

start_pasta() { attach_pasta "$1" "$PASTA"; }
start_passt() { attach_pasta "$1" "${PASST[@]}"; }

attach_pasta() {
	local mtu=$1 ports pidfile socket=$TOPO_DIR/$((NEXT_PORT - 10)).conf control=()
	shift
	ports=$(inbound_ports) pidfile=$TOPO_DIR/$NEXT_PORT.pid
	if as_user "$@" --help | grep -q -- --conf-path; then # not so in older ones of passt
		control=(--conf-path "$socket")
	fi
	guest_namespace
	as_user timeout 20 "$@" --config-net --quiet -m "$mtu" --pid "$pidfile" "${control[@]}" \
		-t "$ports" -u "$ports" -T none -U none "$GUEST_PID"
	PASTA_PID=$(cat "$pidfile")
}

# start_slirp4netns: inbound ports go through its control socket.
start_slirp4netns() {
	local socket=$TOPO_DIR/$NEXT_PORT.sock ready=$TOPO_DIR/$NEXT_PORT.ready port proto
	guest_namespace
	background as_user sh -c "exec \"\$@\" 3>'$ready'" sh \
		"${SLIRP[@]}" --configure --mtu="$1" --enable-ipv6 --api-socket "$socket" --ready-fd 3 "$GUEST_PID" tap0
	PASTA_PID=$BG_PID
	wait_for 10 test -s "$ready"
	for port in $(inbound_ports | tr , ' '); do
		for proto in tcp udp; do
			printf '{"execute":"add_hostfwd","arguments":{"proto":"%s","host_addr":"%s","host_port":%s,"guest_port":%s}}' \
				"$proto" "$HOST4" "$port" "$port" | as_user timeout 5 socat -t 5 - "UNIX-CONNECT:$socket" | grep -q '"return"'
		done
	done
}
