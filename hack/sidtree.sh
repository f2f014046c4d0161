#!/bin/bash
# Debian sid with the programs that call pasta: Podman, Buildah, Docker. Or, with
# SUITE=bookworm, Debian 12 with Podman 4.3, which calls slirp4netns.
#
# Usage: hack/sidtree.sh build      make the tree, unless there is a recent one
#        hack/sidtree.sh run [CMD]  CMD, or a shell, as the ordinary user "user" in
#                                   it, in the network of the tests (tests/bats/lib)
#        hack/sidtree.sh init DIR   what runs as process 1 of "run" and of the tests;
#                                   in new mount, PID, UTS, IPC and network namespaces
#
# Needs root, debootstrap and overlayfs, and the Debian archive that apt knows.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=tree.bash
. hack/tree.bash

SUITE=${SUITE:-sid}
TREE=$TREES/pasta-$SUITE/tree
MAX_AGE_DAYS=7
PASTA=${PASTA:-$PWD/bin/pasta}
NETTOOL=${NETTOOL:-$PWD/bin/nettool}

# Names under which callers look for our binary.
NAMES=(pasta pasta.avx2 passt passt.avx2 pesto slirp4netns vpnkit)

PACKAGES=(
	podman crun netavark aardvark-dns catatonit fuse-overlayfs uidmap slirp4netns
	busybox-static iproute2 iputils-ping procps util-linux
)
[ "$SUITE" != sid ] || PACKAGES+=(
	buildah passt docker.io docker-cli docker-buildx rootlesskit containerd runc curl
	dnsmasq-base iptables nftables
)

build() {
	[ "$(id -u)" = 0 ] || { echo "only root can build and enter the tree" >&2 && return 1; }
	command -v debootstrap >/dev/null || { echo "debootstrap is not installed" >&2 && return 1; }
	mkdir -p "$(dirname "$TREE")"
	exec {lock}>"$TREE.lock"
	flock "$lock"
	current || tree_make "$TREE" "$SUITE" complete
}

# current: the tree was made with these packages, and not long ago.
current() {
	[ "$(cat "$TREE/etc/pasta-packages" 2>/dev/null)" = "${PACKAGES[*]}" ] &&
		[ -n "$(find "$TREE/etc/pasta-packages" -mtime "-$MAX_AGE_DAYS")" ]
}

# complete DIR: everything in the tree that no run changes. The archive's
# signatures are checked as always, only its date may be off.
complete() {
	local dir=$1
	echo force-unsafe-io >"$dir/etc/dpkg/dpkg.cfg.d/unsafe-io"
	printf 'Acquire::%s;\n' 'Check-Valid-Until "false"' 'Languages "none"' 'Retries "3"' \
		>"$dir/etc/apt/apt.conf.d/tree"
	printf '#!/bin/sh\nexit 101\n' >"$dir/usr/sbin/policy-rc.d"
	chmod +x "$dir/usr/sbin/policy-rc.d"
	in_dir "$dir" apt-get -q update
	in_dir "$dir" apt-get -q install -y --no-install-recommends "${PACKAGES[@]}"
	in_dir "$dir" apt-get clean
	in_dir "$dir" useradd --create-home --shell /bin/bash --uid 1000 user
	grep -q '^user:' "$dir/etc/subuid" || echo user:100000:65536 | tee -a "$dir/etc/subuid" >>"$dir/etc/subgid"
	settings "$dir"
	echo "${PACKAGES[*]}" >"$dir/etc/pasta-packages"
}

in_dir() { DEBIAN_FRONTEND=noninteractive chroot "$@"; }

# settings DIR: no systemd, no journal and no cgroups of one's own in there.
settings() {
	mkdir -p "$1/etc/containers" "$1/etc/docker"
	cat >"$1/etc/containers/containers.conf" <<-'END'
		[engine]
		cgroup_manager = "cgroupfs"
		events_logger = "file"
		[containers]
		log_driver = "k8s-file"
	END
}

# init DIR. Files are kept in memory, which is a file system that overlays can be
# put on wherever DIR is, and nothing is left of it. DIR itself is at the same
# place inside and outside. Process 1 does not wait for its children, so the
# kernel must not keep them.
init() {
	local dir=$1 root=$1/machine/root
	mkdir "$dir/machine"
	mount -t tmpfs -o mode=0755 none "$dir/machine"
	tree_mount "$TREE" "$dir/machine"
	mount_rest "$root"
	mkdir -p "$root$dir"
	mount --bind "$dir" "$root$dir"
	install_binaries "$root"
	hostname "$SUITE"
	tree_pivot "$root"
	mount --make-rshared / # as systemd does; engines warn otherwise
	echo ready >"$dir/host.ready"
	exec env -i --ignore-signal=CHLD sleep infinity
}

# mount_rest ROOT: a sysfs of the new network namespace, which rootless engines
# need to make their own; the home directory, where their storage is another overlay.
mount_rest() {
	mount -t sysfs sysfs "$1/sys"
	mount -t cgroup2 cgroup2 "$1/sys/fs/cgroup"
	mount -t tmpfs -o mode=1777 none "$1/dev/shm"
	mount -t tmpfs -o mode=0755,uid=1000,gid=1000 none "$1/home/user"
	[ -e "$1/dev/fuse" ] && chmod 0666 "$1/dev/fuse"
}

# install_binaries ROOT: ours in place of the distribution's, unless SID_AS_IS is set.
install_binaries() {
	local name
	install -m 0755 "$NETTOOL" "$1/usr/local/bin/nettool"
	[ -z "${SID_AS_IS-}" ] || return 0
	for name in "${NAMES[@]}"; do
		rm -f "$1/usr/bin/$name"
		ln -s pasta "$1/usr/bin/$name"
	done
	rm -f "$1/usr/bin/pasta"
	install -m 0755 "$PASTA" "$1/usr/bin/pasta"
}

# run [CMD...]: with the test network around.
run() {
	# shellcheck source=../tests/bats/helpers.bash
	. tests/bats/helpers.bash
	# shellcheck source=../tests/bats/lib/machine.bash
	. tests/bats/lib/machine.bash
	BATS_FILE_TMPDIR=$(mktemp -d)
	trap 'machine_stop; rm -rf "$BATS_FILE_TMPDIR"' EXIT
	machine_start
	[ $# -gt 0 ] || set -- bash
	as_user "$@"
}

case ${1-} in
build | init | run) "$@" ;;
*)
	sed -n '/^# Usage/,/^#$/s/^# //p' "$0" >&2
	exit 2
	;;
esac
