# shellcheck shell=bash
# What the documents say can be done as they say it.

load helpers

setup_file() {
	network_start
	guest_namespace
	echo "$GUEST_PID" >"$TOPO_DIR/unconnected"
}

teardown_file() {
	kill_and_wait KILL "$(cat "$TOPO_DIR/unconnected")"
	network_stop
}

setup() { GUEST_PID=$(cat "$TOPO_DIR/unconnected"); }

# options_of_help and options_of_page print the long options of each.
options_of_help() { "$PASTA" --help | sed -En 's/^  (-.,|   ) (--[a-z0-9-]+).*/\2/p' | sort; }
options_of_page() {
	sed '/^## Options that/,$d' "$REPO/docs/compat/pasta.md" | grep '^| `-' | cut -d '|' -f 2 |
		grep -o -e '--[a-z0-9-]*' | sort
}

@test "docs/compat/pasta.md has one row for every option of pasta --help, and no other" {
	[ "$(options_of_help | wc -l)" -gt 60 ]
	diff <(options_of_help) <(options_of_page)
}

# Every command "pasta ..." that the README or the manual page shows stands for
# the name of a test below; this finds the ones without.
@test "every command of pasta in the documents has a test" {
	local command
	while read -r command; do
		echo "$command"
		grep -qF "@test \"$command\"" "$BATS_TEST_FILENAME"
	done < <(documented_commands)
}

documented_commands() {
	sed -En 's/^    (pasta .*[^ ]) +#.*/\1/p' "$REPO/README.md"
	sed -n '/^.SH EXAMPLES/,/^.SH SEE/s/^\\fB\(pasta.*\)\\fP$/\1/p' "$REPO/docs/man/pasta.1" | sed 's/\\-/-/g'
}

# as_named WHERE...: run the command that is the name of the test in WHERE, with
# what is an example in it replaced: the process, and paths.
as_named() {
	local words=${BATS_TEST_DESCRIPTION#pasta }
	words=${words/4711/$GUEST_PID}
	words=${words//\/run\/user\/1000\/netns\/app/$TOPO_DIR/ns}
	words=${words/ --pid \/tmp\/pasta.pid/}
	# shellcheck disable=SC2086 # what the shell of a reader would split
	detached "$@" "$PASTA" --pid "$TOPO_DIR/pid" $words
}

# serves_until_told: the daemon that as_named left works, and ends when told.
serves_until_told() {
	local daemon
	daemon=$(cat "$TOPO_DIR/pid")
	topo_record "$daemon"
	client out IPv4 up -size 1000
	kill_and_wait TERM "$daemon"
}

# from_inside: as_named from where rootless engines call, with a name for the
# network namespace.
from_inside() {
	: >"$TOPO_DIR/ns"
	enter "$GUEST_PID" mount --bind /proc/self/ns/net "$TOPO_DIR/ns"
	as_named enter_host_network "$GUEST_PID"
	serves_until_told
	enter "$GUEST_PID" umount --lazy "$TOPO_DIR/ns"
}

@test "pasta --config-net" {
	[ "$(echo "$NETTOOL connect $PEER4:$OUT_PORT" | as_named as_user)" = ok ]
}

@test "pasta --config-net -t 8080:80 -- python3 -m http.server 80" {
	command -v python3 >/dev/null || unable "python3 is not installed"
	as_named as_user >"$TOPO_DIR/out" 2>&1 &
	wait_for 10 in_peer curl -sfo /dev/null "http://$HOST4:8080/"
	kill "$(cat "$TOPO_DIR/pid")"
	wait
	wait_for 5 no_strays || strays | xargs kill -KILL # the server goes on, as the manual says
}

@test "pasta --config-net 4711" {
	as_named as_user
	serves_until_told
}

@test "pasta --config-net --quiet --pid /tmp/pasta.pid 4711" {
	[ -z "$(as_named as_user 2>&1)" ]
	serves_until_told
}

@test "pasta --config-net --netns /run/user/1000/netns/app" { from_inside; }
@test "pasta --config-net --netns /run/user/1000/netns/app -t none -u none" { from_inside; }

# Every target that the documents name is one of the Makefile.
@test "every make target in the documents exists" {
	local target
	while read -r target; do
		echo "$target"
		grep -qE "^([a-z0-9/-]+ )*$target( [a-z0-9/-]+)*( &)?:" "$REPO/Makefile"
	done < <(grep -ohE '(^    |`)make [a-z0-9/-]+|sudo make [a-z]+' "$REPO/README.md" "$REPO/CONTRIBUTING.md" | sed 's/.*make //')
}

# The targets that "make test" does not run.

@test "make help lists the targets" {
	make -C "$REPO" help | grep -q '^bench '
}

@test "make run runs a command in a connected namespace, and hands its status on" {
	run make -C "$REPO" run CMD="echo \"it's\"; ip -o link show up | wc -l; exit 3"
	echo "$output"
	[ "$status" -eq 2 ] # make's own
	[[ "$output" == *"it's"$'\n'2$'\n'*"Error 3"* ]]
}

@test "the benchmark measures, and writes its report" {
	local report=$BATS_TEST_TMPDIR/report row
	"$REPO/tests/bench/bench.sh" --only startup,tcp-in-1500,cc-out-65520 --tools direct,pasta \
		--runs 1 --seconds 1 --no-download --output "$report"
	cat "$report"
	for row in startup tcp-in-1500 cpu-tcp-in-1500 bbr/cubic-cc-out-65520; do
		grep -qE "^\\| $row \\| [^|]+ \\| [0-9.]+ \\|" "$report"
	done
	! grep 'n/a' "$report" || false
}
