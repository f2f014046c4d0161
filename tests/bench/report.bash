# shellcheck shell=bash
# The table: medians of the samples and ratios of this pasta to the others.

COLUMNS_OF_TABLE='direct pasta passt slirp4netns'

table_head() {
	echo "| measure | direct | pasta | passt | slirp4netns | pasta/direct | pasta/passt | pasta/slirp4netns |"
	echo "|---|---|---|---|---|---|---|---|"
}

# table_row MEASURE FILE: its row, then those of what was taken in the same runs.
table_row() {
	awk -F '\t' -v wanted="$1" -v tools="$COLUMNS_OF_TABLE" '
		function median(key,   n, i, j, v, t) {
			n = split(values[key], v, " ")
			for (i = 2; i <= n; i++)
				for (j = i; j > 1 && v[j - 1] + 0 > v[j] + 0; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
			return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
		}
		# one lost segment in any run counts
		function figure(key,   n, v, i, most) {
			if (key !~ /^retrans-/) return median(key)
			n = split(values[key], v, " ")
			for (i = 1; i <= n; i++) if (v[i] > most + 0) most = v[i]
			return most + 0
		}
		function shown(x) { return x >= 100 ? sprintf("%.0f", x) : sprintf("%.3g", x) }
		function cell(key) {
			if (key in values) return shown(figure(key))
			return key in reasons ? "n/a" : "-"
		}
		function ratio(name, other,   a, b) {
			if (!((name " pasta") in values) || !((name " " other) in values)) return "-"
			a = figure(name " pasta")
			b = figure(name " " other)
			return b == 0 ? "-" : sprintf("%.2f", a / b)
		}
		$1 ~ ("^(cpu-|p99-|request-|retrans-|rss-|[a-z/]*cubic-|bbr-|reno-)?" wanted "$") {
			if (!($1 in known)) { known[$1]; order[++count] = $1 }
			if ($3 ~ /^n\/a/) reasons[$1 " " $2] = $3
			else values[$1 " " $2] = values[$1 " " $2] " " $3
		}
		END {
			k = split(tools, tool, " ")
			for (i = 1; i <= count; i++) {
				row = "| " order[i]
				for (t = 1; t <= k; t++) row = row " | " cell(order[i] " " tool[t])
				for (t = 1; t <= k; t++) if (tool[t] != "pasta") row = row " | " ratio(order[i], tool[t])
				print row " |"
			}
		}' "$2"
}

# write_report prints docs/BENCHMARKS.md.
write_report() {
	local name
	cat <<-END
		# Benchmarks

		Written by \`make bench\` (tests/bench/bench.sh) on $(date -u +%Y-%m-%d). Everything was measured in one run; the
		tools took turns run by run. Figures are medians of $RUNS runs of $SECONDS_PER_RUN s. Ratios are this pasta's
		figure divided by the other's; for times, memory, wake-ups, CPU and retransmissions less is better.

		- Machine: $(machine)
		- Kernel: $(uname -sr)
		- Congestion control in every namespace: $(topo_congestion)${GUEST_CC:+, in the guests $GUEST_CC}
		$(versions)

	END
	table_head
	while read -r name; do table_row "$name" "$SAMPLES"; done < <(measures)
	legend
	failures
}

machine() {
	local model
	model=$(awk -F ': ' '$1 ~ /^(model name|Model)/ { print $2; exit }' /proc/cpuinfo)
	echo "$(nproc) CPUs (${model:-$(uname -m)}), $(awk '$1 == "MemTotal:" { printf "%.0f", $2 / 1048576 }' /proc/meminfo) GB"
}

versions() {
	local tool
	for tool in ${TOOLS//,/ }; do
		echo "- $tool: $(version_of "$tool")"
	done
}

# legend explains the measures that occur.
legend() {
	local name
	# shellcheck disable=SC2016 # backquotes are Markdown
	printf '\nWhat is measured (the name ends with direction and MTU; IPv6 if `-v6`):\n\n'
	cut -f 1 "$SAMPLES" | awk '!seen[$0]++' | while read -r name; do
		echo "${name%%-[oi][un]*}|$(explain "$name")"
	done | awk -F '|' '!seen[$0]++ { printf "- `%s`: %s\n", $1, $2 }'
}

# failures lists why figures are missing.
failures() {
	if grep -q 'n/a' "$SAMPLES"; then
		printf '\nNot available:\n\n'
		awk -F '\t' '$3 ~ /^n\/a/ && !seen[$1 $2]++ { sub("n/a: *", "", $3); printf "- %s, %s: %s\n", $1, $2, $3 }' "$SAMPLES"
	fi
}
