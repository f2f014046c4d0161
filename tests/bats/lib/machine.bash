# shellcheck shell=bash
# The test network with Debian sid as its host, for the programs that call pasta
# (8xx). Loaded after helpers.bash. Other than in the rest of the tests, the
# namespaces are root's, because rootless engines want subordinate IDs; what is
# tested runs as the ordinary user of that host ("user", 1000).
#
# In there, bin/pasta is /usr/bin/pasta, nettool is in the PATH, and $TOPO_DIR is at
# the same place as here. Everything ends with the host's process 1. The peer has
# the file system of this machine.

# SUITE chooses the suite of Debian (hack/sidtree.sh); sid unless the file exports another.

# machine_start: for setup_file, in place of network_start.
machine_start() {
	[ "$(id -u)" = 0 ] || unable "only root can enter another root directory"
	machine_tree || unable "no Debian ${SUITE:-sid}: $(tail -n 3 "$BATS_FILE_TMPDIR/sidtree.log")"
	topo_start
	in_host sh -c 'echo 0 2147483647 >/proc/sys/net/ipv4/ping_group_range' # as systemd does
	in_host install -d -o user -g user -m 0700 /run/user/1000
	PATH=$(dirname "$NETTOOL"):$PATH NETTOOL=nettool # everywhere in the PATH
	export PATH NETTOOL
	serve in_peer "$PEER4:$OUT_PORT" "[$PEER6]:$OUT_PORT"
}

machine_tree() { "$REPO/hack/sidtree.sh" build >"$BATS_FILE_TMPDIR/sidtree.log" 2>&1 3>&-; }

# machine_stop: for teardown_file, whatever setup_file came to.
machine_stop() { [ -z "${TOPO_DIR-}" ] || topo_stop; }

# topo_namespaces: process 1 of the host is found as the child of unshare.
topo_namespaces() {
	background unprivileged unshare --mount --propagation private --pid --fork --kill-child --uts --ipc --net \
		"$REPO/hack/sidtree.sh" init "$TOPO_DIR"
	wait_for 20 test -s "$TOPO_DIR/host.ready"
	pgrep -P "$BG_PID" >"$TOPO_DIR/host.pid"
	topo_holder peer unshare --net
}

# Root stays root; background needs the exec.
unprivileged() { exec "$@"; }

# enter PID CMD...: in the host, the command becomes a child, which ends with process 1
# at the latest; the peer has no PID namespace.
enter() {
	local pid=$1 namespaces=(-m -n -u -i)
	shift
	[ "$pid" != "$(topo_pid host)" ] || namespaces+=(-p)
	run_or_exec nsenter -t "$pid" "${namespaces[@]}" -- "$@"
}

# as_user CMD...: like a login, in an environment of its own.
as_user() {
	in_host setpriv --reuid 1000 --regid 1000 --init-groups env -i -C /home/user HOME=/home/user \
		USER=user PATH=/usr/local/bin:/usr/bin:/bin XDG_RUNTIME_DIR=/run/user/1000 LANG=C.UTF-8 "$@"
}
