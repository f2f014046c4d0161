#!/bin/bash
# Try HEAD as on a new machine: a minimal Debian 12 with Go in /usr/local/go, the
# commands of the README typed by an ordinary user in an empty home directory,
# then .ci/run as root.
#
# Usage: hack/fresh.sh [try] [test]     (default: both)
#
# Needs root, debootstrap, overlayfs and the network; every run starts from the
# same tree, which is made once. What ends up elsewhere than in that run's
# directory: the tree, the mode of /dev/net/tun, and the congestion controls that
# are allowed, as with every "make test".
set -eu
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=tree.bash
. hack/tree.bash

BASE=$TREES/pasta-fresh/bookworm
CLONE_OF=https://github.com/pasta-net/pasta # in the README
STEPS=(try test)
[ $# -eq 0 ] || STEPS=("$@")

# mount_machine DIR: the tree below DIR/root, written to DIR only.
mount_machine() {
	local root=$1/root
	tree_mount "$BASE" "$1"
	mount --rbind /sys "$root/sys"
	mkdir "$root/usr/local/go"
	mount --bind -o ro "$(go env GOROOT)" "$root/usr/local/go"
	cat /etc/resolv.conf >"$root/etc/resolv.conf"
	cp -r /usr/local/share/ca-certificates "$root/usr/local/share/"
	git bundle create "$root/pasta.bundle" HEAD
}

# on_machine USER SCRIPT: SCRIPT with the login environment of USER, and the
# proxies of this one.
on_machine() {
	local user=$1 proxies
	proxies=$(compgen -e | grep -ix -e '.*_proxy' | paste -sd,) || true
	su - "$user" ${proxies:+--whitelist-environment="$proxies"} -s /bin/bash -c "set -e
		PATH=\$PATH:/usr/local/go/bin
		$2"
}

# prepare makes the user and leads the README's clone to the bundle. All that the
# README may assume is sudo.
prepare() {
	apt-get -q update
	apt-get -q install -y --no-install-recommends sudo
	useradd --create-home --shell /bin/bash user
	echo 'user ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/user
	echo "127.0.0.1 localhost $(hostname)" >/etc/hosts
	printf '[url "/pasta.bundle"]\n\tinsteadOf = %s\n' "$CLONE_OF" >/etc/gitconfig
}

# readme_commands: what the section "Try it" says to type. Lines that start with
# "#" are for the shell that the line before opens.
readme_commands() { sed -n '/^## Try it/,/^## Use it/s/^    //p' /README.md; }

# step_try runs them; nothing is answered but what the README shows.
step_try() {
	readme_commands | sed -n 's/^# //p' >/typed
	readme_commands | grep -v '^#' | sed 's/^sudo apt-get install/& -y/' >/commands
	cat /commands
	on_machine user '. /commands </typed'
}

# step_test runs what continuous integration runs, in a clone of root's.
step_test() {
	on_machine root "export DEBIAN_FRONTEND=noninteractive
		apt-get -q install -y --no-install-recommends make git ca-certificates
		git clone $CLONE_OF pasta
		cd pasta
		.ci/run"
}

# machine DIR: runs as init of its own PID namespace, so that nothing survives it.
machine() {
	local step
	mount_machine "$1"
	cp README.md "$1/root/"
	tree_pivot "$1/root"
	prepare
	for step in "${STEPS[@]}"; do
		echo "== $step"
		"step_$step"
	done
}

if [ -n "${FRESH_DIR-}" ]; then
	machine "$FRESH_DIR"
	exit
fi
[ -d "$BASE" ] || tree_make "$BASE" bookworm
FRESH_DIR=$(mktemp -d "$(dirname "$BASE")/run.XXXXXX")
export FRESH_DIR
trap 'rm -rf "$FRESH_DIR"' EXIT
unshare --mount --pid --fork --kill-child --propagation private hack/fresh.sh "${STEPS[@]}"
