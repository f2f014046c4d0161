#!/bin/bash
# Packages of the binaries that "make cross" has built, .deb and .rpm, in directory
# DIST. The same commit gives the same bytes.
#
# Usage: DIST=... VERSION=... GO_TOOL=... hack/packages.sh ARCH...  ("make packages")
#
# In a package the binary is called pasta-net, and the names that other programs
# have, too, lead to it from /usr/lib/pasta-net/bin; see docs/INSTALL.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH PACKAGE_VERSION PACKAGE_ARCH STAGE

# package_version VERSION: as both kinds of packages sort and allow it. What has no
# tag comes before all that has.
package_version() {
	case $1 in
	v[0-9]* | [0-9]*.*) sed 's/^v//; s/-/+/; s/-/./g' <<<"$1" ;;
	*) echo "0.0~git$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d).${1//-/.}" ;;
	esac
}

# stage ARCH ZSH: the tree of files in $STAGE, with completions of zsh in directory ZSH.
stage() {
	local lib=/usr/lib/pasta-net share=/usr/share
	local doc=$STAGE$share/doc/pasta-net
	rm -rf "${STAGE:?}"/*
	make -s install-files BINARY="bin/pasta-linux-$1" DESTDIR="$STAGE" PREFIX=/usr \
		BINDIR=$lib/bin MANDIR=$share/pasta-net/man ZSHCOMPDIR="$share/zsh/$2"
	mkdir -p "$STAGE/usr/bin" "$STAGE$share/man/man1"
	mv "$STAGE$lib/bin/pasta" "$STAGE/usr/bin/pasta-net"
	ln -s ../../../bin/pasta-net "$STAGE$lib/bin/pasta"
	gzip -9n "$STAGE$share/pasta-net/man/man1"/*
	ln -s ../../pasta-net/man/man1/pasta.1.gz "$STAGE$share/man/man1/pasta-net.1.gz"
	mkdir -p "$doc/examples"
	cp -r packaging/apparmor packaging/selinux "$doc/examples/"
	cp README.md "$doc/"
	gzip -9nc CHANGELOG.md >"$doc/CHANGELOG.md.gz"
	copyright "$1" >"$doc/copyright"
}

# copyright ARCH: our licence, and those of what is linked into the binary.
copyright() {
	local module file
	echo "https://github.com/pasta-net/pasta: Copyright The pasta authors."
	echo "Licence: Apache-2.0, see /usr/share/common-licenses/Apache-2.0 or http://www.apache.org/licenses/LICENSE-2.0"
	for module in std $(go version -m "bin/pasta-linux-$1" | awk '$1 == "dep" { print $2 }'); do
		printf '\nIt contains %s:\n' "$module"
		case $module in
		std) file=$(go env GOROOT)/LICENSE ;;
		*) file=$(echo "$(go list -m -f '{{.Dir}}' "$module")"/LICENSE*) ;;
		esac
		if grep -q "Apache License" "$file"; then
			echo "Licence: Apache-2.0"
		else
			cat "$file"
		fi
	done
}

# changelog: what Debian wants to know; CHANGELOG.md is for people.
changelog() {
	cat <<-END
		pasta-net ($PACKAGE_VERSION) unstable; urgency=medium

		  * See CHANGELOG.md.gz.

		 -- The pasta authors <packages@pasta-net.invalid>  $(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")
	END
}

# package KIND: the package of what is in $STAGE.
package() {
	chmod -R u=rwX,go=rX "$STAGE"
	find "$STAGE" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
	$GO_TOOL nfpm package --packager "$1" --config packaging/nfpm.yaml --target "$DIST/"
}

PACKAGE_VERSION=$(package_version "$VERSION")
mkdir -p "$DIST"
STAGE=$(mktemp -d)
trap 'rm -rf "$STAGE"' EXIT
for PACKAGE_ARCH; do
	stage "$PACKAGE_ARCH" site-functions
	package rpm
	stage "$PACKAGE_ARCH" vendor-completions
	changelog | gzip -9nc >"$STAGE/usr/share/doc/pasta-net/changelog.gz"
	install -D -m 0644 packaging/deb/lintian "$STAGE/usr/share/lintian/overrides/pasta-net"
	package deb
done
