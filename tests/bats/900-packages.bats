# shellcheck shell=bash
# What "make install" and "make packages" give.

load helpers

setup_file() {
	# A version with everything in it that packages must not have.
	(make_here packages DIST="$BATS_FILE_TMPDIR/dist" VERSION=v1.2.3-4-gabc-dirty) 3>&- >"$BATS_FILE_TMPDIR/log" 2>&1 ||
		{ tail -n 20 "$BATS_FILE_TMPDIR/log" >&2 && return 1; }
}

setup() {
	DIST=$BATS_FILE_TMPDIR/dist TREE=$BATS_TEST_TMPDIR/tree
	VERSION=1.2.3+4.gabc.dirty
}

# make_here ARGS...: make, untouched by the one that may have started us.
make_here() { env -u MAKEFLAGS -u MAKELEVEL make -s -C "$REPO" "$@"; }

# variable NAME: its words in the Makefile, one per line.
variable() { make_here -pn help | sed -n "s/^$1 := //p" | xargs -n 1; }

# names: what "make install" calls our binary besides pasta.
names() { variable INSTALLED_LINKS; }

# files DIR: all but directories, below DIR.
files() { (cd "$1" && find . ! -type d | sort); }

unpack() {
	dpkg-deb --extract "$DIST/pasta-net_${VERSION}_$1.deb" "$TREE"
}

@test "make install: every name works, every file is there" {
	local name
	make_here install DESTDIR="$TREE" PREFIX=/opt/pasta
	for name in pasta $(names); do
		# vpnkit says its version only.
		"$TREE/opt/pasta/bin/$name" --version | grep -q "^$name\|^pasta\|^$("$PASTA" --version | sed -n '1s/^pasta //p')$"
	done
	for name in bin/pasta share/man/man1/pasta.1 share/bash-completion/completions/pasta \
		share/zsh/site-functions/_pasta share/fish/vendor_completions.d/pasta.fish; do
		test -s "$TREE/opt/pasta/$name"
	done
	[ "$(find "$TREE" -mindepth 1 -maxdepth 2 | wc -l)" -eq 2 ] # nothing beside the prefix
}

# The others are left to the programs that have them.
@test "make install: of the names of other programs, those that work" {
	local name
	for name in $(variable LINKS); do
		run "$(dirname "$PASTA")/$name" --version
		echo "$output"
		if [[ $output == *"not supported yet"* ]]; then
			! names | grep -x "$name" || return 1
		else
			names | grep -x "$name"
		fi
	done
}

@test "make uninstall: no file is left" {
	make_here install-files DESTDIR="$TREE" BINARY="$PASTA"
	[ "$(files "$TREE" | wc -l)" -gt 8 ]
	make_here uninstall DESTDIR="$TREE"
	[ -z "$(files "$TREE")" ]
}

@test "packages: a static binary for each architecture" {
	local arch machine
	while read -r arch machine; do
		rm -rf "$TREE"
		unpack "$arch"
		readelf -h "$TREE/usr/bin/pasta-net" | grep "Machine: .*$machine"
		readelf -l "$TREE/usr/bin/pasta-net" | grep -q LOAD
		! readelf -l "$TREE/usr/bin/pasta-net" | grep INTERP || return 1
	done <<-'END'
		amd64 X86-64
		arm64 AArch64
	END
}

# slirp4netns_version: the one that ours says to be.
slirp4netns_version() { "$(dirname "$PASTA")/slirp4netns" --version | sed -n '1s/.* //p'; }

@test "packages: control files" {
	local deb=$DIST/pasta-net_${VERSION}_amd64.deb rpm=$DIST/pasta-net-$VERSION-1.aarch64.rpm field
	for field in "Package pasta-net" "Version $VERSION" "Architecture amd64"; do
		expect "${field#* }" dpkg-deb --field "$deb" "${field% *}"
	done
	for field in Depends Conflicts Replaces; do
		expect "" dpkg-deb --field "$deb" "$field"
	done
	expect "passt, slirp4netns (= $(slirp4netns_version))" dpkg-deb --field "$deb" Provides
	expect "pasta-net $VERSION aarch64 Apache-2.0" rpm -qp --qf '%{name} %{version} %{arch} %{license}' "$rpm"
}

@test "packages: what belongs to the distribution's packages stays theirs" {
	unpack amd64
	[ "$(ls "$TREE/usr/bin")" = pasta-net ]
	[ "$(ls "$TREE/usr/share/man/man1")" = pasta-net.1.gz ]
	[ ! -e "$TREE/etc" ]
}

@test "packages: names, manual pages, completions, examples, licences" {
	local name
	unpack "$(dpkg --print-architecture)"
	for name in pasta $(names); do
		"$TREE/usr/lib/pasta-net/bin/$name" --version | grep -q "v1.2.3-4-gabc-dirty$"
	done
	zcat "$TREE/usr/share/man/man1/pasta-net.1.gz" | grep -q "^.TH"
	[ -s "$TREE/usr/share/bash-completion/completions/pasta" ]
	[ -s "$TREE/usr/share/zsh/vendor-completions/_pasta" ]
	[ -s "$TREE/usr/share/fish/vendor_completions.d/pasta.fish" ]
	[ -s "$TREE/usr/share/doc/pasta-net/examples/apparmor/pasta-net" ]
	grep -A 1 "contains golang.org/x/sys" "$TREE/usr/share/doc/pasta-net/copyright" | grep Copyright
}

# Completions of zsh have a place for each, a changelog and lintian are Debian's.
@test "packages: the .rpm has the files of the .deb" {
	unpack arm64
	diff <(files "$TREE" | sed 's/^.//' | grep -v 'lintian\|zsh\|doc/pasta-net/changelog.gz') \
		<(rpm -qp --qf '[%{filemodes:perms} %{filenames}\n]' "$DIST/pasta-net-$VERSION-1.aarch64.rpm" |
			sed -n '/^d/!s/^[^ ]* //p' | grep -v zsh | sort)
	rpm -qlp "$DIST/pasta-net-$VERSION-1.aarch64.rpm" | grep -x /usr/share/zsh/site-functions/_pasta
}

@test "packages: the same again, whatever the umask and the time" {
	(umask 077 && make_here packages DIST="$TREE" VERSION=v1.2.3-4-gabc-dirty)
	diff -r "$DIST" "$TREE"
}

@test "the example of an SELinux module compiles" {
	cd "$BATS_TEST_TMPDIR"
	checkmodule -M -m -o pasta_net.mod "$REPO/packaging/selinux/pasta_net.te"
	semodule_package -o pasta_net.pp -m pasta_net.mod -f "$REPO/packaging/selinux/pasta_net.fc"
	[ -s pasta_net.pp ]
}
