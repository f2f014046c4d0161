# shellcheck shell=bash
# The packages on a machine with Podman, and with the programs whose names they have.

# bats file_tags=root

load helpers
load lib/machine
load lib/podman

setup_file() {
	(env -u MAKEFLAGS -u MAKELEVEL make -s -C "$REPO" packages DIST="$BATS_FILE_TMPDIR/dist" \
		ARCHES="$(dpkg --print-architecture)" VERSION=v9.8.7) 3>&- >"$BATS_FILE_TMPDIR/log" 2>&1 ||
		{ tail -n 20 "$BATS_FILE_TMPDIR/log" >&2 && return 1; }
	export SID_AS_IS=1
	podman_start
	cp "$BATS_FILE_TMPDIR"/dist/* "$TOPO_DIR/"
	DISTRIBUTION=$(version_of pasta)
	export DISTRIBUTION
	in_host sh -ec "$repack" "$TOPO_DIR" >&2
	installed_files >"$TOPO_DIR/files"
}

teardown_file() { machine_stop; }

# Each test ends without the package, and with everything as it was before.
teardown() {
	podman_clean
	in_host dpkg --install "$TOPO_DIR/passt.deb"
	in_host dpkg --purge pasta-net
	diff "$TOPO_DIR/files" <(installed_files)
}

# passt.deb, of what is installed of it: the archive is out of reach in there.
# shellcheck disable=SC2016 # for the shell in the host
repack='
	mkdir -p "$0/passt/DEBIAN"
	dpkg-query --listfiles passt | while read -r file; do
		[ -d "$file" ] || [ ! -e "$file" ] || cp -a --parents "$file" "$0/passt"
	done
	dpkg-query --show -f "\${Conffiles}\n" passt | sed -n "s/^ \([^ ]*\) .*/\1/p" >"$0/passt/DEBIAN/conffiles"
	dpkg-query --status passt | sed "/^Status/d; /^Conffiles/d; /^ \/etc/d" >"$0/passt/DEBIAN/control"
	dpkg-deb --build "$0/passt" "$0/passt.deb"'

# installed_files: what there is, but for its times, and whose it is.
installed_files() {
	in_host find /etc /usr /var/lib/dpkg/alternatives ! -type d -printf '%p %l %s\n' | sort
	in_host dpkg-divert --list
}

install_package() { in_host dpkg --install "$TOPO_DIR/$(cd "$TOPO_DIR" && echo pasta-net_*.deb)"; }

# version_of NAME: as its --version says.
version_of() { as_user "$1" --version | sed -n '1s/^[^ ]* //p'; }

@test "the names are ours, beside the distribution's" {
	local name
	install_package
	for name in pasta pasta.avx2 pesto; do
		expect v9.8.7 version_of "$name"
	done
	expect "$DISTRIBUTION" version_of passt
	in_host update-alternatives --set pasta /usr/bin/pasta.distrib
	expect "$DISTRIBUTION" version_of pasta
	expect "$DISTRIBUTION" version_of pasta.avx2
	expect v9.8.7 version_of pesto
	install_package # again, which leaves that choice
	expect "$DISTRIBUTION" version_of pasta
	in_host update-alternatives --auto pasta
	expect v9.8.7 version_of pasta
}

# would_install PACKAGES...: what apt would install on a machine that has nothing. The lists of
# the archive are there, the archive is not.
would_install() {
	in_host apt-get --simulate -o Dir::State::status=/dev/null install "$@" | sed -n 's/^Inst \([^ ]*\).*/\1/p'
}

# chosen: of the input, the engine and those with programs of our names.
chosen() { grep -x -e podman -e passt -e slirp4netns -e pasta-net | sort | xargs; }

@test "apt installs it in place of what engines recommend" {
	local package
	package=$(echo "$TOPO_DIR"/pasta-net_*.deb)
	expect "passt podman slirp4netns" chosen < <(would_install podman)
	expect "pasta-net podman" chosen < <(would_install "$package" podman rootlesskit)
	expect "passt pasta-net podman slirp4netns" chosen < <(would_install "$package" podman passt slirp4netns)
}

@test "apt keeps what was there, and takes it away on demand" {
	install_package
	in_host apt-get check
	in_host apt-mark auto passt slirp4netns
	in_host apt-get --simulate autoremove >"$BATS_TEST_TMPDIR/autoremove"
	! grep -e '^Remv passt' -e '^Remv slirp4netns' "$BATS_TEST_TMPDIR/autoremove" || return 1
	in_host apt-get --simulate remove passt slirp4netns >"$BATS_TEST_TMPDIR/remove"
	expect "passt slirp4netns" removed <"$BATS_TEST_TMPDIR/remove"
	in_host apt-mark manual passt slirp4netns
}

removed() { sed -n 's/^Remv \([^ ]*\).*/\1/p' | sort | xargs; }

@test "Podman uses it" {
	install_package
	expect "pasta v9.8.7" as_user podman info --format '{{ index (split .Host.Pasta.Version "\n") 0 }}'
	container a --publish "$HOST4:8080:$CONTAINER_PORT"
	reaches "$PEER4:$OUT_PORT" podman exec a
	reaches "[$PEER6]:$OUT_PORT" podman exec a
	reaches "$HOST4:8080" in_peer
	in_host find /proc -mindepth 2 -maxdepth 2 -name exe -lname /usr/bin/pasta-net | grep proc
}

@test "passt comes and goes" {
	install_package
	in_host dpkg --remove passt
	expect v9.8.7 version_of pasta
	expect /usr/lib/pasta-net/bin/pasta in_host update-alternatives --list pasta
	in_host dpkg --install "$TOPO_DIR/passt.deb"
	expect v9.8.7 version_of pasta
	in_host update-alternatives --list pasta | grep -x /usr/bin/pasta.distrib
	in_host dpkg --purge pasta-net
	expect "$DISTRIBUTION" version_of pasta
}

@test "without passt the names go with the package" {
	in_host dpkg --remove passt
	install_package
	expect v9.8.7 version_of pasta
	in_host dpkg --remove pasta-net
	! in_host ls /usr/bin/pasta /usr/bin/pesto /etc/alternatives/pasta || return 1
}

# scriptlet NAME COUNT: of the .rpm, with the number of versions that stay.
scriptlet() { rpm -qp --qf "%{$1}" "$TOPO_DIR"/*.rpm | in_host sh -s "$2"; }

@test "the .rpm leaves files of others alone" {
	rpm2archive "$TOPO_DIR"/*.rpm
	in_host tar -C / -xf "$(echo "$TOPO_DIR"/*.tgz)"
	run scriptlet POSTIN 1
	[[ "$output" == *"/usr/bin/pasta belongs to another package"* ]]
	expect "$DISTRIBUTION" version_of pasta
	in_host dpkg --remove passt
	scriptlet POSTIN 1
	scriptlet PREUN 1 # an upgrade
	expect v9.8.7 version_of pasta
	expect v9.8.7 version_of pasta.avx2
	scriptlet PREUN 0
	! in_host ls /usr/bin/pasta /usr/bin/pesto /etc/alternatives/pasta || return 1
	rpm -qlp "$TOPO_DIR"/*.rpm | in_host xargs rm -df 2>/dev/null || true # shared directories stay
}
