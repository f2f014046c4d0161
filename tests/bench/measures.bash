# shellcheck shell=bash
# What is measured. measure NAME TOOL takes one sample, or several that come from
# the same run, and fails if there is no point in another try.

OUT_PORT=5001 OUT_LEAN_PORT=5002 IPERF_PORT=5201
HELD=2000 FLOWS=1000 CHANGES=100

# measures prints all names in the order of the report: what-direction-MTU[-v6]. Direction
# lo is from the host's loopback to a published port.
measures() {
	local streams mtu family
	printf '%s\n' startup rss-idle wakeups
	for streams in tcp tcp8; do
		for mtu in 65520 1500; do
			for family in '' -v6; do
				echo "$streams-out-$mtu$family"
				echo "$streams-in-$mtu$family"
			done
		done
	done
	printf 'cc-%s\n' out-65520 in-65520 out-1500 in-1500
	printf '%s\n' {udp,rr,rr4,rrgo,crr,crr4}-{out,in}-65520 {tcp,tcp8,udp,rr,rr4,rrgo,crr,crr4}-lo-65520 \
		tcp-lo-65520-v6 open-in-65520 open-lo-65520 change-in-65520 hold-out-65520 hold-in-65520 rss-load
}

# runs_of NAME: how many samples per tool. What one connection does in a run depends on where
# the kernel happens to place its processes: rr has many short runs.
runs_of() {
	case $1 in
	rr-*) echo $((RUNS * 60)) ;;
	startup | rr* | crr* | open-*) echo $((RUNS * 4)) ;;
	rss-* | wakeups | hold-*) echo 1 ;;
	*) echo "$RUNS" ;;
	esac
}

# explain NAME: unit and meaning for the report.
explain() {
	case $1 in
	startup) echo "ms, \`--config-net -- true\`; slirp4netns: until its ready descriptor says so" ;;
	rss-idle) echo "MB resident, idle, nothing moved yet" ;;
	rss-load) echo "MB resident, idle again after all transfers" ;;
	rss-hold-*) echo "MB resident while connections are held" ;;
	wakeups) echo "voluntary context switches per second, idle" ;;
	cpu-*) echo "CPU seconds of the daemon per GB" ;;
	*/cubic-cc-*) echo "that, divided by what cubic had in the same turn; below a third is a stall" ;;
	*-cc-*) echo "Gbit/s, one stream, with that congestion control in the guest alone" ;;
	retrans-*) echo "segments retransmitted by the guest, most of all runs" ;;
	tcp8-*) echo "Gbit/s, eight streams" ;;
	tcp-*) echo "Gbit/s, one stream" ;;
	udp-*) echo "Gbit/s delivered, 1400-byte datagrams sent as fast as possible" ;;
	rr-*) echo "one-byte requests answered per second on one connection; sixty times as many runs, of a tenth of a second" ;;
	rr4-*) echo "the same on four connections at once; four times as many runs, of a quarter of the time" ;;
	rrgo-*) echo "rr between programs that use Go's net package, whose scheduler has a large share in it; four times as many runs, of a quarter of the time" ;;
	crr-*) echo "connect, request, answer, close: per second, one client; four times as many runs, of a quarter of the time" ;;
	crr4-*) echo "the same of four clients at once" ;;
	p99-change-*) echo "that, 99 % of all changes" ;;
	request-change-*) echo "the part of that between the request of \`pesto\` and the answer of the daemon" ;;
	change-*) echo "ms that \`pesto\` takes to add or delete a port while $FLOWS connections are held, its start included" ;;
	open-*) echo "$HELD connections to a published port, 64 on their way at a time, each used once and then held: per second; four times as many runs" ;;
	hold-*) echo "connections held and all answering, of $HELD" ;;
	esac
}

measure() {
	local name=$1 tool=$2 kind direction mtu version
	IFS=- read -r kind direction mtu version <<<"$name"
	mtu=${mtu:-65520}
	if [ "$tool" = direct ] && [[ $kind =~ ^(startup|rss|wakeups)$ ]]; then
		return 1 # nothing to measure
	fi
	if [ "$kind" != startup ] && ! instance "$tool" "$mtu"; then
		sample "$name" "$tool" "n/a: ${REASON["$tool $mtu"]}"
		return 1
	fi
	"measure_$kind" "$name" "$tool" "$mtu" "$direction" "${version:-v4}"
}

# figure NAME TOOL CMD...: the output of CMD, scaled by $SCALE, as a sample.
figure() {
	local name=$1 tool=$2 value
	shift 2
	if value=$("$@" 2>"$TOPO_DIR/error") && [ -n "$value" ]; then
		sample "$name" "$tool" "$(awk -v v="$value" -v s="${SCALE:-1}" 'BEGIN { printf "%.6g", v / s }')"
	else
		sample "$name" "$tool" "n/a: $(tail -n 1 "$TOPO_DIR/error")"
		return 1
	fi
}

# from_client TOOL MTU DIRECTION CMD...: run CMD where clients of the direction are.
from_client() {
	local tool=$1 mtu=$2 direction=$3
	shift 3
	case $direction in
	out) inside "$tool" "$mtu" "$@" ;;
	in) in_peer "$@" ;;
	lo) in_host "$@" ;;
	esac
}

# remote DIRECTION VERSION TOOL: the server's address for those clients, without port.
# Direct servers and slirp4netns listen on the host's own address alone, which is
# local too.
remote() {
	case "$1 $2 $3" in
	"lo v4 pa"*) echo 127.0.0.1 && return ;;
	"lo v6 pa"*) echo ::1 && return ;;
	esac
	case "$1 $2" in
	"out v4") echo "$PEER4" ;;
	"out v6") echo "$PEER6" ;;
	"in v4" | "lo v4") echo "$HOST4" ;;
	"in v6" | "lo v6") echo "$HOST6" ;;
	esac
}

# server TOOL MTU DIRECTION VERSION: the test server, with port.
server() { server_at "$OUT_PORT" 2 "$@"; }

# lean_server is the one that takes little time of its own.
lean_server() { server_at "$OUT_LEAN_PORT" 3 "$@"; }

# server_at OUTPORT OFFSET TOOL MTU DIRECTION VERSION: the one at that port of the peer, or so
# far behind the instance's first port.
server_at() {
	local port=$1 offset=$2 address
	shift 2
	# shellcheck disable=SC2153 # PORT is in tools.bash
	[ "$3" = out ] || port=$((PORT["$1 $2"] + offset))
	address=$(remote "$3" "$4" "$1")
	[ "$4" = v4 ] || address="[$address]"
	echo "$address:$port"
}

measure_tcp() { transfer "$@" 1; }
measure_tcp8() { transfer "$@" 8; }

# transfer runs iperf3 and takes throughput, CPU time and retransmissions of the
# same run.
transfer() {
	local name=$1 tool=$2 mtu=$3 direction=$4 cpu retransmitted gigabytes
	cpu=$(cpu_ticks "$tool" "$mtu")
	retransmitted=$(retransmissions "$tool" "$mtu")
	SCALE=1000 figure "$name" "$tool" iperf "${@:2}" || return
	cpu=$(($(cpu_ticks "$tool" "$mtu") - cpu))
	retransmitted=$(($(retransmissions "$tool" "$mtu") - retransmitted))
	gigabytes=$(tail -n 1 "$SAMPLES" | awk -v s="$SECONDS_PER_RUN" '{ print $3 * s / 8 }')
	if [ "$6" = 1 ] && [ "$tool" != direct ]; then
		SCALE=$gigabytes figure "cpu-$name" "$tool" awk -v t="$cpu" 'BEGIN { print t / 100 }'
	fi
	if [ "$direction" = out ]; then
		figure "retrans-$name" "$tool" echo "$retransmitted"
	fi
}

# measure_cc takes one stream with each congestion control in the guest, one after
# the other, so that a noisy machine is noisy for all of them. How others do is
# not what this asks.
measure_cc() {
	local name=$1 tool=$2 mtu=$3 cc rate cubic=
	[ "$tool" = pasta ] || return 1
	for cc in cubic bbr reno; do
		if ! guest_congestion "$tool" "$mtu" "$cc" 2>/dev/null; then
			sample "$cc-$name" "$tool" "n/a: $cc is not there, or not allowed (as root: make setup)"
		elif SCALE=1000 figure "$cc-$name" "$tool" iperf "${@:2}" 1; then
			rate=$(tail -n 1 "$SAMPLES" | cut -f 3)
			case $cc in
			cubic) cubic=$rate ;;
			*) [ -z "$cubic" ] || SCALE=$cubic figure "$cc/cubic-$name" "$tool" echo "$rate" ;;
			esac
		fi
	done
	guest_congestion "$tool" "$mtu" "${GUEST_CC:-$TOPO_CC}" 2>/dev/null || true
}

# iperf TOOL MTU DIRECTION VERSION STREAMS: Mbit/s seen by the receiver. Every run
# has a fresh server: one that lost its client would refuse the next.
iperf() {
	local tool=$1 mtu=$2 direction=$3 version=$4 streams=$5 port=$IPERF_PORT where=in_peer server output status
	if [ "$direction" != out ]; then
		port=$((PORT["$tool $mtu"] + 1)) where=in_guest
		GUEST_PID=${GUEST["$tool $mtu"]}
	fi
	background "$where" iperf3 -s -1 -p "$port" >/dev/null 2>&1
	server=$BG_PID
	wait_for 5 listening "$where" "$port"
	output=$(from_client "$tool" "$mtu" "$direction" timeout $((SECONDS_PER_RUN + 10)) \
		iperf3 -c "$(remote "$direction" "$version" "$tool")" -p "$port" -P "$streams" -t "$SECONDS_PER_RUN" -f m 2>&1)
	status=$?
	kill_and_wait KILL "$server"
	if [ "$status" -ne 0 ]; then
		tail -n 1 <<<"$output" >&2
		return 1
	fi
	awk '/receiver/ { for (i = 2; i <= NF; i++) if ($i == "Mbits/sec") rate = $(i - 1) } END { print rate }' <<<"$output"
}

listening() { "$1" ss -Hltn "sport = :$2" | grep -q LISTEN; }

# cpu_ticks TOOL MTU: user and system time of the daemon, in clock ticks of 10 ms.
cpu_ticks() {
	local stat pid=${DAEMON["$1 $2"]}
	[ -n "$pid" ] || { echo 0 && return; }
	stat=$(cat "/proc/$pid/stat")
	# shellcheck disable=SC2086 # the fields after the command's name
	set -- ${stat##*) }
	echo $((${12} + ${13}))
}

retransmissions() { inside "$1" "$2" nstat -asz TcpRetransSegs | awk '$1 == "TcpRetransSegs" { print $2 }'; }

measure_rr() { per_second 100 rr "$(lean_server "${@:2}")" "$@"; }
measure_rr4() { per_second "$(quarter)" "rr -clients 4" "$(lean_server "${@:2}")" "$@"; }
measure_rrgo() { per_second "$(quarter)" "rr -go" "$(server "${@:2}")" "$@"; }
measure_crr() { per_second "$(quarter)" crr "$(lean_server "${@:2}")" "$@"; }
measure_crr4() { per_second "$(quarter)" "crr -clients 4" "$(lean_server "${@:2}")" "$@"; }

# quarter of a run's usual time, in milliseconds.
quarter() { echo $((SECONDS_PER_RUN * 250)); }

# per_second MILLISECONDS SUBCOMMAND SERVER NAME TOOL MTU DIRECTION VERSION
per_second() {
	# shellcheck disable=SC2086 # a subcommand with its flags
	figure "$4" "$5" from_client "${@:5:3}" "$NETTOOL" $2 -timeout 30s -for "$1ms" "$3"
}

measure_udp() { SCALE=1e9 figure "$1" "$2" flood "${@:2}"; }

flood() {
	from_client "$1" "$2" "$3" "$NETTOOL" udp-flood -timeout 30s -size 1400 -for "${SECONDS_PER_RUN}s" \
		"$(server "$@")" | awk '{ print $3 }'
}

# while_held TOOL MTU DIRECTION VERSION COUNT CMD...: run CMD while a client holds COUNT
# connections, if it gets them within 30 s. What the client says is in $TOPO_DIR/held and
# held.err.
while_held() {
	local tool=$1 mtu=$2 direction=$3 version=$4 count=$5 fifo=$TOPO_DIR/release status=1
	shift 5
	rm -f "$fifo"
	mkfifo "$fifo"
	from_client "$tool" "$mtu" "$direction" "$NETTOOL" hold -timeout 60s -count "$count" \
		"$(server "$tool" "$mtu" "$direction" "$version")" <"$fifo" >"$TOPO_DIR/held" 2>"$TOPO_DIR/held.err" &
	exec 9>"$fifo"
	if wait_for 30 grep -q held "$TOPO_DIR/held"; then
		status=0
		"$@" 9>&- || status=1
	fi
	exec 9>&-
	wait $! || true
	return "$status"
}

# measure_hold also looks at the daemon's memory meanwhile.
measure_hold() {
	while_held "${@:2}" "$HELD" resident_holding "$1" "$2" "$3" || true
	figure "$1" "$2" held_count "$TOPO_DIR/held"
}

resident_holding() { [ "$2" = direct ] || figure "rss-$1" "$2" resident "${DAEMON["$2 $3"]}"; }

# measure_change adds and deletes one port by turns, through the control socket.
measure_change() {
	local pesto
	case $2 in
	pasta) pesto=("$TOPO_DIR/pesto" --debug) ;; # tells how long the request took
	passt) pesto=("${PESTO[@]}") ;;
	*) return 1 ;; # nothing to measure
	esac
	if ! while_held "${@:2}" "$FLOWS" changes "${CONTROL["$2 $3"]}" "${pesto[@]}"; then
		sample "$1" "$2" "n/a: $(tail -n 1 "$TOPO_DIR/changes.err" "$TOPO_DIR/held.err" | tail -n 1)"
		return 1
	fi
	SCALE=1000 figure "$1" "$2" percentile 50 "$TOPO_DIR/changes"
	SCALE=1000 figure "p99-$1" "$2" percentile 99 "$TOPO_DIR/changes"
	[ "$2" != pasta ] || SCALE=1000 figure "request-$1" "$2" requests "$TOPO_DIR/changes.err"
}

# changes SOCKET PESTO...: microseconds of each change, as the ordinary user.
changes() {
	# shellcheck disable=SC2016 # for the inner shell
	as_user timeout 60 bash -c '
		count=$1 socket=$2
		shift 2
		for ((i = 0; i < count; i++)); do
			how=-A
			((i % 2)) && how=-D
			start=${EPOCHREALTIME/./}
			"$@" "$how" -t 19999 "$socket" || exit
			echo $((${EPOCHREALTIME/./} - start))
		done' bash "$CHANGES" "$@" >"$TOPO_DIR/changes" 2>"$TOPO_DIR/changes.err"
}

# requests FILE: the microseconds of the median request, from what pesto told.
requests() {
	sed -n 's/.*changed in \([0-9]*\) µs$/\1/p' "$1" >"$1.requests"
	percentile 50 "$1.requests"
}

# percentile P FILE
percentile() { sort -n "$2" | awk -v p="$1" '{ v[NR] = $1 } END { i = int(NR * p / 100 + 0.5); print v[i < 1 ? 1 : i] }'; }

# measure_open leaves a moment for the end of the connections, which is not measured.
measure_open() {
	local status=0
	figure "$1" "$2" from_client "${@:2:3}" "$NETTOOL" open -timeout 30s -count "$HELD" "$(lean_server "${@:2}")" ||
		status=1
	sleep 0.3
	return "$status"
}

held_count() {
	cat "$1.err" >&2
	awk '$1 == "answered" { print $2 }' "$1"
}

# resident PID: MB.
resident() { awk '$1 == "VmRSS:" { print $2 / 1024 }' "/proc/$1/status"; }

measure_rss() { figure "$1" "$2" resident "${DAEMON["$2 $3"]}"; }

# measure_wakeups counts over all threads for 5 s, after 10 s for what still
# settles after the start (neighbour discovery, the runtime's own goroutines).
measure_wakeups() {
	local pid=${DAEMON["$2 $3"]} before
	sleep 10
	before=$(switches "$pid")
	sleep 5
	SCALE=5 figure "$1" "$2" echo $(($(switches "$pid") - before))
}

switches() { cat "/proc/$1"/task/*/status | awk '$1 == "voluntary_ctxt_switches:" { n += $2 } END { print n }'; }

# measure_startup takes the time inside the ordinary user's namespace, so that
# entering it does not count.
measure_startup() {
	local command
	case $2 in
	pasta) command=("$PASTA" --config-net -- true) ;;
	passt) command=("${PASST[@]}" --config-net -- true) ;;
	slirp4netns)
		slirp_startup "$1"
		return
		;;
	esac
	SCALE=1000 figure "$1" "$2" stopwatch "${command[@]}"
}

# stopwatch CMD...: microseconds that CMD takes as the ordinary user.
stopwatch() {
	# shellcheck disable=SC2016 # for the inner shell
	as_user timeout 20 bash -c '
		start=${EPOCHREALTIME/./}
		"$@" >/dev/null 2>&1 </dev/null || exit
		echo $((${EPOCHREALTIME/./} - start))' bash "$@"
}

slirp_startup() {
	local result
	guest_namespace
	# shellcheck disable=SC2016 # for the inner shell
	SCALE=1000 figure "$1" slirp4netns stopwatch bash -c '
		pid=$1 && shift
		coproc "$@" --configure --ready-fd 1 "$pid" tap0
		read -r -n 1 -u "${COPROC[0]}" ready
		kill "$COPROC_PID"
		[ "$ready" = 1 ]' bash "$GUEST_PID" "${SLIRP[@]}"
	result=$?
	kill_and_wait KILL "$GUEST_PID"
	return "$result"
}
