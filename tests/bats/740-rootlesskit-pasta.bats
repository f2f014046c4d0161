# shellcheck shell=bash
# RootlessKit with --net=pasta: its options, in rows that have each pair of them in every
# combination (orthogonal arrays for implicit and pesto), and the ends of its parts.
# bats file_tags=root

load helpers
load lib/rootlesskit
load lib/kitmatrix
load lib/kitlife

export NETWORK=pasta DEFAULT_MTU=65520

setup_file() { matrix_setup pasta pesto; }

teardown_file() { network_stop; }

teardown() { rootlesskit_teardown; }

matrix_addresses() {
	local cidr
	cidr=$(option cidr 10.0.2.0/24)
	ADDRESS=${cidr%.*}.100/${cidr#*/} ROUTER=${cidr%.*}.2
}

# RootlessKit gives pasta another gateway than the host's for IPv4 only. Its --tcp-ns and
# --udp-ns are left at auto.
host_loopback() {
	if has disable-host-loopback; then
		echo "$ROUTER ENETUNREACH"
		echo "127.0.0.1 ECONNREFUSED"
		! has ipv6 || echo "[$GATEWAY6] ECONNREFUSED"
	else
		printf '%s ok\n' "$ROUTER" 127.0.0.1
		! has ipv6 || echo "[$GATEWAY6] ok"
	fi
}

server() { [ "$DRIVER" = pesto ] && echo "${ADDRESS%/*}:80" || echo "[::]:8080"; }

ports_none() {
	refused "$HOST4:8080"
	refused "[$HOST6]:8080"
	fails_with "no PortDriver is available" ctl add-ports ":8080:8080/tcp"
}

ports_implicit() {
	wait_for 3 answered "$HOST4:8080"
	sees "$HOST4:8080" "$GATEWAY4"
	if has ipv6; then
		sees "[$HOST6]:8080" "[$GATEWAY6]"
	else
		refused "[$HOST6]:8080"
	fi
	expect ok from_host 8080
	fails_with "no PortDriver is available" ctl list-ports
}

ports_pesto() {
	expect "1
2" ctl add-ports ":8080:80/tcp" "$HOST4:8080:80/udp"
	sees "$HOST4:8080" "$GATEWAY4"
	refused "[$HOST6]:8080"
	expect ok from_host 8080
	expect "1
2" ctl remove-ports 1 2
	closed in_peer "$HOST4:8080"
}

@test "3.1: implicit" { row; }
@test "3.1: implicit copy-up mtu=1500 cidr=10.5.6.0/24 propagation=rslave" { row; }
@test "3.1: implicit ipv6 disable-host-loopback cidr=192.168.77.0/25 propagation=rslave" { row; }
@test "3.1: implicit ipv6 disable-host-loopback copy-up mtu=1500" { row; }
@test "3.1: implicit detach-netns disable-host-loopback mtu=1500 propagation=rslave" { row; }
@test "3.1: implicit detach-netns disable-host-loopback copy-up cidr=10.5.6.0/24" { row; }
@test "3.1: implicit detach-netns ipv6 mtu=1500 cidr=10.0.0.0/8" { row; }
@test "3.1: implicit detach-netns ipv6 copy-up propagation=rslave" { row; }

# As dockerd-rootless.sh calls it.
@test "3.1: implicit mtu=65520 slirp4netns-sandbox=auto slirp4netns-seccomp=auto disable-host-loopback copy-up propagation=rslave detach-netns" { row; }

@test "3.1: pesto" { row; }
@test "3.1: pesto copy-up mtu=1500 ipv6 propagation=rslave" { row; }
@test "3.1: pesto cidr=10.5.6.0/24 disable-host-loopback ipv6 propagation=rslave" { row; }
@test "3.1: pesto cidr=192.168.77.0/25 disable-host-loopback copy-up mtu=1500" { row; }
@test "3.1: pesto detach-netns disable-host-loopback mtu=1500 propagation=rslave" { row; }
@test "3.1: pesto detach-netns disable-host-loopback copy-up ipv6" { row; }
@test "3.1: pesto detach-netns cidr=10.5.6.0/24 mtu=1280 ipv6 ifname=net1" { row; }
@test "3.1: pesto detach-netns cidr=10.5.6.0/24 copy-up propagation=rslave" { row; }

@test "3.1: none" { row; }
@test "3.1: none ipv6 copy-up pidns cgroupns utsns ipcns" { row; }
@test "3.1: none detach-netns disable-host-loopback mtu=1500" { row; }

@test "implicit: the status of the command" { passes_status implicit; }
@test "pesto: the status of the command" { passes_status pesto; }

@test "pesto: ports named at the start" { publishes pesto 10.0.2.100:80; }

@test "implicit: pasta is killed" { outlives_daemon implicit; }
@test "pesto: pasta is killed" { outlives_daemon pesto; }

@test "a pasta that was killed can be started again" {
	resumes implicit
	resumes pesto
}

@test "implicit: RootlessKit is killed" { ends_with_kit implicit; }
@test "pesto: RootlessKit is killed" { ends_with_kit pesto; }

@test "the child of RootlessKit is killed" { ends_with_child implicit; }

# original sets ORIGINAL to pasta of Debian sid, as the benchmark has it, or to the installed one.
original() {
	# shellcheck source=../bench/tools.bash
	. "$REPO/tests/bench/tools.bash"
	ORIGINAL=$TOPO_DIR/original
	if fetch_sid >"$TOPO_DIR/fetch.log" 2>&1; then
		use_sid
	else
		PASST=(/usr/bin/pasta)
	fi
	printf '#!/bin/sh\nexec %s "$@"\n' "${PASST[*]}" >"$ORIGINAL"
	chmod 755 "$ORIGINAL"
}

@test "starting takes" {
	original
	compare_starts implicit pasta "$("$ORIGINAL" --version | head -n 1)" "$ORIGINAL"
}

# options_of_help and options_of_page print RootlessKit's long options; --help and
# --version say nothing about networks.
options_of_help() {
	"$ROOTLESSKIT" --help | sed -En 's/^    (--[a-z0-9-]+).*/\1/p' | grep -v -e '^--help' -e '^--version' | sort
}
options_of_page() {
	sed -n '/^| Option | pasta/,/^$/p' "$REPO/docs/compat/rootlesskit.md" | cut -d '|' -f 2 | grep -o -e '--[a-z][a-z0-9-]*' | sort -u
}

@test "docs/compat/rootlesskit.md has every option of rootlesskit --help" {
	[ "$(options_of_help | wc -l)" -gt 20 ]
	diff <(options_of_help) <(options_of_page)
}
