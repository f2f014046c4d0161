# shellcheck shell=bash
# Guests served by the personality slirp4netns. Needs helpers.bash.
#
# slirp_start sets GUEST_PID, a process in the guest's namespaces, and PASTA_PID, that
# of slirp4netns. Its output is in $SLIRP_OUT.

export SLIRP SLIRP_OUT SLIRP_API PASTA_PID

# slirp_setup: for setup. Gives the binary under test its name.
slirp_setup() {
	SLIRP=$TOPO_DIR/slirp4netns SLIRP_OUT=$TOPO_DIR/slirp.out SLIRP_API=$TOPO_DIR/api.sock
	SLIRP_READY=$TOPO_DIR/slirp.ready
	ln -sf "$PASTA" "$SLIRP"
	GUEST_PID='' PASTA_PID=''
}

# slirp_teardown: for teardown.
slirp_teardown() {
	guest_end
	rm -f "$SLIRP_API" "$SLIRP_READY"
}

# slirp_start ARGS...: a new guest with the tap tap0, configured, by PID.
slirp_start() {
	guest_namespace
	# Before the link is there: SLAAC addresses are usable at once, as with Podman.
	in_guest sh -c 'echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad'
	slirp_serve -c "$@" "$GUEST_PID" tap0
	in_guest sh -c "echo $TOPO_CC >/proc/sys/net/ipv4/tcp_congestion_control
		echo 1 >/proc/sys/net/ipv4/tcp_syn_retries" 2>/dev/null || true
}

# slirp_serve ARGS...: run slirp4netns until it says by a descriptor that it is ready.
slirp_serve() {
	rm -f "$SLIRP_READY"
	(unprivileged mkfifo "$SLIRP_READY")
	# shellcheck disable=SC2016 # for the shell in there
	background as_user sh -c 'exec 5>"$0"; exec "$@"' "$SLIRP_READY" "$SLIRP" -r 5 "$@" >"$SLIRP_OUT" 2>&1
	PASTA_PID=$BG_PID
	if [ "$(timeout 10 cat "$SLIRP_READY")" != 1 ]; then
		cat "$SLIRP_OUT" >&2
		return 1
	fi
}

# slirp ARGS...: run slirp4netns to its end; what bats' run wraps.
slirp() { detached as_user timeout 10 "$SLIRP" "$@"; }

# api REQUEST: ask the API socket, and print the reply.
api() { printf '%s' "$1" | as_user timeout 10 nc -NU "$SLIRP_API"; }

# answers WANT REQUEST: the API's reply must be WANT, to the byte.
answers() { expect "$1" api "$2"; }

# hostfwd PROTO HOST_ADDR HOST_PORT GUEST_PORT: add a forward.
hostfwd() {
	api "{\"execute\":\"add_hostfwd\",\"arguments\":{\"proto\":\"$1\",\"host_addr\":\"$2\",\"host_port\":$3,\"guest_port\":$4}}"
}
