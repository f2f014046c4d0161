#!/bin/bash
# Compare this pasta with a direct veth link, with Debian's pasta (package passt)
# and with slirp4netns: one run, one machine, side by side. The tools take turns
# run by run, so that a noisy machine is noisy for all of them, in random order, so
# that none always follows the same; figures are medians. Writes one table with
# ratios to docs/BENCHMARKS.md.
#
# Needs no root (as root it runs everything as an ordinary user); see
# tests/bats/lib/topology.bash for the network.

set -eu

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../bats/lib/topology.bash
. "$HERE/../bats/lib/topology.bash"
# shellcheck source=../bats/lib/guest.bash
. "$HERE/../bats/lib/guest.bash"
# shellcheck source=tools.bash
. "$HERE/tools.bash"
# shellcheck source=measures.bash
. "$HERE/measures.bash"
# shellcheck source=report.bash
. "$HERE/report.bash"

RUNS=5 SECONDS_PER_RUN=3 DOWNLOAD=1 ONLY='*' OUTPUT=$REPO/docs/BENCHMARKS.md
GUEST_CC=
TOOLS=direct,pasta,passt,slirp4netns

usage() {
	cat <<-END
		Usage: bench.sh [options]
		  --only LIST     measures, separated by commas, with * and ? (all)
		  --tools LIST    of direct,pasta,passt,slirp4netns (all)
		  --runs N        runs per measure and tool; figures are medians ($RUNS)
		  --seconds S     length of a transfer ($SECONDS_PER_RUN)
		  --cc NAME       congestion control in every namespace ($TOPO_CC)
		  --guest-cc NAME the same in the guests only (that of --cc)
		  --output FILE   where the report goes; - for the table only ($OUTPUT)
		  --no-download   compare with the installed passt and slirp4netns, not sid's
		  --list          print the measures
		All of it takes about three quarters of an hour. PASTA=FILE selects the binary (bin/pasta).
	END
}

while [ $# -gt 0 ]; do
	case $1 in
	--only) ONLY=$2 && shift 2 ;;
	--tools) TOOLS=$2 && shift 2 ;;
	--runs) RUNS=$2 && shift 2 ;;
	--seconds) SECONDS_PER_RUN=$2 && shift 2 ;;
	--cc) TOPO_CC=$2 && shift 2 ;;
	--guest-cc) GUEST_CC=$2 && shift 2 ;;
	--output) OUTPUT=$2 && shift 2 ;;
	--no-download) DOWNLOAD= && shift ;;
	--list) measures && exit ;;
	-h | --help) usage && exit ;;
	*) usage >&2 && exit 1 ;;
	esac
done

# selected MEASURE: it matches --only.
selected() {
	local pattern patterns
	IFS=, read -r -a patterns <<<"$ONLY"
	for pattern in "${patterns[@]}"; do
		# shellcheck disable=SC2053 # a pattern
		[[ $1 != $pattern ]] || return 0
	done
	return 1
}

# sample MEASURE TOOL VALUE, or "n/a: reason" for VALUE.
sample() { printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$SAMPLES"; }

# each_tool FUNCTION ARGS...: FUNCTION TOOL ARGS for each tool that started.
each_tool() {
	local function=$1 tool
	shift
	for tool in ${TOOLS//,/ }; do
		"$function" "$tool" "$@"
	done
}

# sampled MEASURE TOOL: there is a figure already.
sampled() { awk -F '\t' -v m="$1" -v t="$2" '$1 == m && $2 == t && $3 !~ /^n\/a/ { n++ } END { exit !n }' "$SAMPLES"; }

# run_measure NAME: RUNS samples of each tool, taking turns. A first transfer that
# failed is not tried again: it would only cost its time limit.
run_measure() {
	local name=$1 run tool
	for ((run = 1; run <= $(runs_of "$name"); run++)); do
		for tool in $(tr , '\n' <<<"$TOOLS" | shuf); do
			if [ -z "${FAILED["$name $tool"]-}" ]; then
				measure "$name" "$tool" || sampled "$name" "$tool" || FAILED["$name $tool"]=1
			fi
		done
	done
	table_row "$name" "$SAMPLES"
}

main() {
	local name
	declare -gA FAILED=()
	topo_start
	trap finish EXIT
	tools_readable
	SAMPLES=$TOPO_DIR/samples
	: >"$SAMPLES"
	prepare_tools
	serve in_peer "$PEER4:$OUT_PORT" "[$PEER6]:$OUT_PORT"
	serve_by serve-lean in_peer "$PEER4:$OUT_LEAN_PORT" "[$PEER6]:$OUT_LEAN_PORT"
	table_head
	while read -r name; do
		! selected "$name" || run_measure "$name"
	done < <(measures)
	[ "$OUTPUT" = - ] || write_report >"$OUTPUT"
}

# finish ends what attached daemons the topology's list does not hold.
finish() {
	topo_inhabitants >"$TOPO_DIR/last"
	xargs -r kill -KILL <"$TOPO_DIR/last" 2>/dev/null || true
	topo_stop
}

main
