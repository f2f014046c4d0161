# shellcheck shell=bash
# slirp4netns: command line, ready and exit descriptors, targets, sandbox and filter.

load helpers
load lib/process
load lib/slirp

setup_file() { network_start; }

teardown_file() { network_stop; }

setup() {
	process_setup
	slirp_setup
}

teardown() {
	slirp_teardown
	process_teardown
}

# fails WANT ARGS...: slirp4netns ARGS exits 1 and has WANT on standard error.
fails() {
	local want=$1 status=0
	shift
	slirp "$@" >"$OUT" 2>"$TOPO_DIR/err" || status=$?
	echo "status $status, stderr: $(cat "$TOPO_DIR/err")"
	[ "$status" -eq 1 ] && [ "$(cat "$TOPO_DIR/err")" = "$want" ]
}

# new_guest: new_target, as the guest.
new_guest() {
	new_target
	export GUEST_PID=$TARGET
}

# as_podman: from now on the user is user 0 of the target's user namespace.
as_podman() {
	# shellcheck disable=SC2317 # called by slirp_serve
	as_user() { in_host nsenter -t "$TARGET" -U --preserve-credentials -- "$@"; }
}

usage_shown() { grep -q '^Usage: slirp4netns ' "$OUT"; }

@test "help and version are what callers look for" {
	slirp --help 2>"$TOPO_DIR/err" | tee "$OUT" | grep -qw -- --netns-type
	[ ! -s "$TOPO_DIR/err" ]
	for option in --disable-host-loopback --mtu --enable-sandbox --enable-seccomp --cidr --outbound-addr --enable-ipv6 --api-socket; do
		grep -q -- "$option" "$OUT"
	done
	slirp --version >"$OUT"
	head -n 1 "$OUT" | grep -Eqx 'slirp4netns version 1\.[0-9]+\.[0-9]+'
	[ "$(grep -c version "$OUT")" = 1 ]
	grep -Eqx 'SLIRP_CONFIG_VERSION_MAX: [3-9]' "$OUT"
}

@test "help has every option of Debian's slirp4netns" {
	slirp --help >"$OUT"
	command slirp4netns --help | grep -Eo -- '--[a-z0-9-]+' | sort -u | while read -r option; do
		grep -q -- "$option" "$OUT"
	done
}

@test "errors are those of Debian's slirp4netns" {
	local args
	while read -r args; do
		local status=0 want_status=0
		# shellcheck disable=SC2086 # words
		slirp $args >"$OUT" 2>"$TOPO_DIR/err" || status=$?
		# shellcheck disable=SC2086
		detached as_user timeout 10 slirp4netns $args >"$OUT.want" 2>"$TOPO_DIR/err.want" || want_status=$?
		echo "$args: $(cat "$TOPO_DIR/err")"
		diff "$TOPO_DIR/err.want" "$TOPO_DIR/err"
		[ "$status" = "$want_status" ]
		[ "$(grep -c '^Usage:' "$OUT")" = "$(grep -c '^Usage:' "$OUT.want")" ]
	done <<-END
		-e foo 1 t
		-r -1 1 t
		-m 0 1 t
		-m 65522 1 t
		--x
		-Z
		--mtu
		1
		foo t
		--netns-type=path /nowhere t
		--userns-path=/nowhere 1 t
		--macaddress=aa:bb:cc:dd:ee:ff 1 t
		--target-type=foo 1 t
		--target-type=bess -c /x
		--target-type=bess --netns-type=pid /x
		--target-type=bess --userns-path=/ /x
		--target-type=bess /x y
		--cidr=24 1 t
		--cidr=10.0.300.0/24 1 t
		--cidr=10.0.2.0/26 1 t
		--cidr=10.0.2.100/24 1 t
		--outbound-addr=foo 1 t
		--outbound-addr6=foo 1 t
		-c --macaddress=zz 1 t
		-c --macaddress=1:2:3:4:5:6:7 1 t
		2147483647 t
		--netns-type=path /dev/null t
		--mtu= 1 t
		--mtu=0x10 1 t
		--mtu=5.0 1 t
		--mtu=+1500 2147483647 t
		--mtu=01500 2147483647 t
		-e 0x3 1 t
		-r 3x 1 t
		-e +5 2147483647 t
		--netns-type= 1 t
		--target-type= 1 t
		--userns-path= 1 t
		--macaddress= 1 t
		-c --macaddress= 1 t
		-c --macaddress=:::::: 1 t
		-c --macaddress=aa-bb-cc-dd-ee-ff 2147483647 t
		--cidr= 1 t
		--cidr=10.0.2.0/024 1 t
		--cidr=010.0.2.0/24 1 t
		--cidr=0x0a.0.2.0/24 1 t
	END
}

@test "a tap in use, and one without rights" {
	new_target
	slirp_serve "$TARGET" tap0
	fails "ioctl(TUNSETIFF): Device or resource busy
child failed(1)" "$TARGET" tap0
	fails "setns(CLONE_NEWNET): Operation not permitted
child failed(1)" --netns-type=path "/proc/$TARGET/ns/net" tap1
	run usage_shown
	[ "$status" -eq 1 ]
	run slirp -a "$(printf '%0108d' 0)" "$TARGET" tap1
	[ "$status" -eq 1 ]
	[[ "$output" == *"the specified API socket path is too long (>= 108)
do_slirp failed
parent failed" ]]
}

# both_fail WANT CMD...: CMD before a program that is to make $TAP. Debian's fails with
# WANT, and so does ours.
both_fail() {
	local want=$1 program
	shift
	for program in slirp4netns "$SLIRP"; do
		fails_with "$want
child failed(1)" detached "$@" timeout 10 "$program" "$TARGET" "$TAP"
	done
}

@test "a tap that cannot be made, as Debian's slirp4netns tells it" {
	new_target
	TAP=a/b both_fail "ioctl(TUNSETIFF): Invalid argument" as_user
	TAP=lo both_fail "ioctl(TUNSETIFF): Invalid argument" as_user
	# shellcheck disable=SC2016 # for the shell in there
	TAP=tap0 both_fail 'open("/dev/net/tun"): No such file or directory' \
		in_host unshare -m sh -c 'mount -t tmpfs none /dev/net && exec "$@"' sh
}

@test "-c configures the tap and lo, nothing without" {
	new_guest
	slirp_serve "$TARGET" tap0
	grep -Eqx 'sent tapfd=[0-9]+ for tap0' "$SLIRP_OUT"
	grep -Eqx 'received tapfd=[0-9]+' "$SLIRP_OUT"
	[ "$(in_guest ip -o link show up | wc -l)" -eq 0 ]
	[ -z "$(in_guest ip -o address)" ]
	slirp_serve -c --macaddress=02:00:00:00:12:34 --cidr=10.9.0.0/16 -m 1400 "$TARGET" tap1
	in_guest ip -o link show tap1 up | tee /dev/stderr | grep -q 'mtu 1400 .*02:00:00:00:12:34'
	in_guest ip -o -4 address show dev tap1 | grep -q 'inet 10.9.0.100/16 '
	expect "default via 10.9.0.2 dev tap1 " in_guest ip route show default
	in_guest ip -o address show dev lo | grep -q 127.0.0.1
	[ -z "$(in_guest ip -o -6 address show dev tap1 scope global)" ]
}

@test "a persistent tap is attached to by its name" {
	new_guest
	in_guest ip tuntap add name tap0 mode tap
	in_guest ip link set tap0 address 02:00:00:00:00:77 up
	in_guest ip address add 10.0.2.100/24 dev tap0
	slirp_serve --mtu 65520 "$TARGET" tap0
	in_guest ping -c 1 -W 2 10.0.2.2
	in_guest ip -o link show tap0 | grep -q 02:00:00:00:00:77
	kill_and_wait TERM "$PASTA_PID"
	slirp_serve --mtu 65520 "$TARGET" tap0
	in_guest ping -c 1 -W 2 10.0.2.2
}

@test "by path, with the user namespace given and without need for it" {
	new_guest
	slirp_serve -c --netns-type=path --userns-path="/proc/$TARGET/ns/user" "/proc/$TARGET/ns/net" tap0
	in_guest ping -c 1 -W 2 10.0.2.2
	kill_and_wait TERM "$PASTA_PID"
	as_podman
	slirp_serve -c --netns-type=path "/proc/$TARGET/ns/net" tap0
	in_guest ping -c 1 -W 2 10.0.2.2
}

@test "an inherited tap" {
	new_guest
	rm -f "$SLIRP_READY"
	(unprivileged mkfifo "$SLIRP_READY")
	# TUNSETIFF with IFF_TAP and IFF_NO_PI, then the program with both descriptors.
	background in_guest python3 -c 'if True:
		    import fcntl, os, struct, sys
		    tap = os.open("/dev/net/tun", os.O_RDWR)
		    fcntl.ioctl(tap, 0x400454ca, struct.pack("16sH22x", b"tap0", 0x1002))
		    ready = os.open(sys.argv[2], os.O_WRONLY)
		    for fd in tap, ready:
		        os.set_inheritable(fd, True)
		    os.execv(sys.argv[1], [sys.argv[1], "-r", str(ready), "--netns-type=tapfd", str(tap)])
	' "$SLIRP" "$SLIRP_READY" >"$SLIRP_OUT" 2>&1
	PASTA_PID=$BG_PID
	[ "$(timeout 10 cat "$SLIRP_READY")" = 1 ] || { cat "$SLIRP_OUT"; false; }
	in_guest ip link set tap0 up
	in_guest ip address add 10.0.2.100/24 dev tap0
	in_guest ping -c 1 -W 2 10.0.2.2
	in_guest ping -c 1 -W 2 10.0.2.3
}

@test "bess: frames over a socket" {
	local path=$TOPO_DIR/bess.sock
	start "$SLIRP" --target-type=bess "$path" >"$OUT" 2>&1
	wait_for 5 grep -q "^Waiting for connection to $path" "$OUT"
	# An ARP request for the gateway is answered with its address.
	expect 52550a000202 as_user python3 - "$path" <<-'END'
		import socket, sys
		s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		s.settimeout(5)
		s.connect(sys.argv[1])
		mac, ip = b"\2\0\0\0\0\2", bytes([10, 0, 2, 100])
		s.send(b"\xff" * 6 + mac + b"\x08\x06" + b"\0\1\x08\0\6\4\0\1" + mac + ip + b"\0" * 6 + bytes([10, 0, 2, 2]))
		while True:
		    f = s.recv(70000)
		    if f[12:14] == b"\x08\x06" and f[20:22] == b"\0\2":
		        print(f[22:28].hex())
		        break
	END
}

@test "ready descriptor: one byte and the end, nothing after a failure" {
	new_target
	slirp_serve -c "$TARGET" tap0 # which checks the byte
	run as_user sh -c "exec 5>&1 >/dev/null 2>&1; '$SLIRP' -r 5 2147483647 tap0"
	[ "$status" -eq 1 ] && [ -z "$output" ]
}

@test "exit descriptor: the end of the pipe ends it, data does not" {
	new_target
	local pipe=$TOPO_DIR/exit
	(unprivileged mkfifo "$pipe")
	# shellcheck disable=SC2016 # for the shell in there
	start sh -c 'exec 7<"$0"; exec "$@"' "$pipe" "$SLIRP" -e 7 -a "$SLIRP_API" "$TARGET" tap0 >"$OUT" 2>&1
	exec 9>"$pipe"
	wait_for 5 test -S "$SLIRP_API"
	echo data >&9
	sleep 0.3
	running "$PID"
	exec 9>&-
	ends_with 0 "$PID"
	[ ! -e "$SLIRP_API" ]
	[ "$(tail -n 2 "$OUT")" = "exitfd event
do_slirp is exiting" ]
	rm "$pipe"
}

@test "exit descriptor that is not open: the end at once" {
	new_target
	run slirp -c -e 10 "$TARGET" tap0 10>&- # bats has it open
	echo "status $status: $output"
	[ "$status" -eq 0 ]
}

@test "exit descriptor that is not open: nor those that the Go runtime has opened since" {
	new_target
	for fd in 3 4 5; do
		run slirp -e "$fd" "$TARGET" tap0 3>&- 4>&- 5>&-
		[ "$status" -eq 0 ]
	done
}

@test "signals end it, the API socket stays" {
	new_target
	for signal in TERM INT HUP; do
		slirp_serve -a "$SLIRP_API" "$TARGET" tap0
		kill_and_wait "$signal" "$PASTA_PID"
		[ -S "$SLIRP_API" ]
	done
}

# sees ROOT...: the entries of the root directory of process $1.
sees() { in_host ls "/proc/$1/root"; }

@test "sandbox of user 0: /etc and /run, one capability" {
	new_guest
	as_podman
	slirp_serve -c --enable-sandbox --enable-seccomp --netns-type=path "/proc/$TARGET/ns/net" tap0
	expect "etc
run" sees "$PASTA_PID"
	grep -Eqx 'CapEff:	0000000000000400' "/proc/$PASTA_PID/status"
	grep -Eqx 'CapBnd:	0000000000000400' "/proc/$PASTA_PID/status"
	grep -Eqx 'NoNewPrivs:	1' "/proc/$PASTA_PID/status"
	grep -Eqx 'Seccomp:	2' "/proc/$PASTA_PID/status"
	run in_host touch "/proc/$PASTA_PID/root/etc/x"
	[ "$status" -ne 0 ]
	in_guest ping -c 1 -W 2 10.0.2.2
	resolver in_peer "$GATEWAY4:53" 192.0.2.1
	expect 192.0.2.1 in_guest dig +short +time=2 +tries=1 @10.0.2.3 name.example
}

@test "sandbox of an ordinary user: a child in the target's user namespace" {
	slirp_start --enable-sandbox --enable-seccomp
	local child
	child=$(cat "/proc/$PASTA_PID/task/$PASTA_PID/children")
	child=${child% }
	expect "etc
run" sees "$child"
	grep -Eqx 'CapBnd:	0000000000000400' "/proc/$child/status"
	in_guest ping -c 1 -W 2 10.0.2.2
	kill_and_wait KILL "$PASTA_PID"
	wait_for 5 gone "$child"
}

@test "sandbox without a PID and without rights" {
	new_target
	fails "unshare(CLONE_NEWNS): Operation not permitted
create_sandbox failed
do_slirp failed
parent failed" --enable-sandbox --netns-type=path --userns-path="/proc/$TARGET/ns/user" "/proc/$TARGET/ns/net" tap0
}

@test "no wake-ups while nothing happens" {
	slirp_start -a "$SLIRP_API"
	sleep 1
	local before after
	before=$(awk '/ctxt_switches/ { n += $2 } END { print n }' "/proc/$PASTA_PID"/task/*/status)
	sleep 3
	after=$(awk '/ctxt_switches/ { n += $2 } END { print n }' "/proc/$PASTA_PID"/task/*/status)
	echo "$before $after"
	[ $((after - before)) -le 30 ]
}
