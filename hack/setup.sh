#!/bin/sh
# Make the machine ready for tests: the packages of tests/packages.txt, a
# /dev/net/tun that ordinary users may open, and every congestion control allowed
# to them. Changes the machine only as root; otherwise it names what is missing
# and fails, as it does without Go.
#
# Usage: hack/setup.sh [go] [packages] [tun] [congestion]   (default: all)
set -eu
cd "$(dirname "$0")/.."

# setup_go: since 1.21 an older Go fetches the one that go.mod names.
setup_go() {
    version=$(go env GOVERSION 2>/dev/null) || version=
    case $version in
    go1.2[1-9]* | go1.[3-9][0-9]* | devel*) return ;;
    esac
    echo "Go 1.26 is needed, or any since 1.21, which fetches it; found: ${version:-none}. Unpack" \
        "https://go.dev/dl/ to /usr/local, or put the go command into PATH" >&2
    exit 1
}

missing_packages() {
    grep -v '^#' tests/packages.txt | while read -r package; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
            echo "$package"
    done
}

setup_packages() {
    if ! command -v dpkg-query >/dev/null; then
        echo "not a Debian system: make sure that the tools of tests/packages.txt are there" >&2
        return
    fi
    missing=$(missing_packages | tr '\n' ' ')
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        echo "missing packages; install them with: apt-get install --no-install-recommends $missing" >&2
        exit 1
    fi
    apt-get update
    # shellcheck disable=SC2086 # a list of words
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
}

setup_tun() {
    tun=/dev/net/tun
    if [ "$(id -u)" = 0 ]; then
        if [ ! -e "$tun" ]; then
            mkdir -p /dev/net
            mknod "$tun" c 10 200
        fi
        chmod 0666 "$tun"
    elif [ ! -r "$tun" ] || [ ! -w "$tun" ]; then
        echo "cannot open $tun; let root run: chmod 0666 $tun" >&2
        exit 1
    fi
}

# setup_congestion: ordinary users set what root has allowed, also in namespaces
# of their own. Stays until the next boot; tests say what they miss.
setup_congestion() {
    allowed=/proc/sys/net/ipv4/tcp_allowed_congestion_control
    [ "$(id -u)" = 0 ] || return 0
    for name in reno cubic bbr; do
        grep -qw "$name" "$allowed" && continue
        modprobe -q "tcp_$name" 2>/dev/null || true
        { echo "$(cat "$allowed") $name" >"$allowed"; } 2>/dev/null || true
    done
}

[ $# -gt 0 ] || set -- go packages tun congestion
for step; do
    "setup_$step"
done
