#!/usr/bin/env bats
# The command line contract: exit status, texts and streams. Needs no namespace.

setup() {
    PASTA=${PASTA:-$BATS_TEST_DIRNAME/../../bin/pasta}
    OUT=$BATS_TEST_TMPDIR/out
    ERR=$BATS_TEST_TMPDIR/err
}

# pasta ARGS...: run the binary, set status, fill $OUT and $ERR.
pasta() {
    status=0
    "$PASTA" "$@" >"$OUT" 2>"$ERR" </dev/null || status=$?
}

# named NAME ARGS...: the same under another program name.
named() {
    ln -sf "$(realpath "$PASTA")" "$BATS_TEST_TMPDIR/$1"
    status=0
    "$BATS_TEST_TMPDIR/$1" "${@:2}" >"$OUT" 2>"$ERR" </dev/null || status=$?
}

# refused TEXT ARGS...: exit 1, TEXT alone on stderr, nothing on stdout.
refused() {
    pasta "${@:2}"
    echo "status $status, stderr: $(cat "$ERR")"
    [ "$status" -eq 1 ]
    [ "$(cat "$ERR")" = "$1" ]
    [ ! -s "$OUT" ]
}

# misused TEXT ARGS...: exit 1, TEXT and then the usage on stderr.
misused() {
    pasta "${@:2}"
    echo "status $status, stderr: $(head -n 2 "$ERR")"
    [ "$status" -eq 1 ]
    [ "$(head -n 1 "$ERR")" = "$1" ]
    [ "$(sed -n 2p "$ERR")" = "Usage: pasta [OPTION]... [COMMAND] [ARGS]..." ]
    [ ! -s "$OUT" ]
}

@test "version: standard output, first line, blank line at the end" {
    pasta --version
    [ "$status" -eq 0 ]
    head -n 1 "$OUT" | grep -Eq '^pasta [^ ]+$'
    [ -z "$(tail -n 1 "$OUT")" ]
    [ ! -s "$ERR" ]
}

@test "version: after valid options, before garbage" {
    pasta --config-net -m 1500 --version --garbage
    [ "$status" -eq 0 ]
    grep -q '^pasta ' "$OUT"
}

@test "version: an earlier error wins" {
    refused "Invalid MTU: 1500x" -m 1500x --version
}

@test "help: standard output, three forms" {
    for option in -h --help --hel; do
        pasta $option
        [ "$status" -eq 0 ]
        [ ! -s "$ERR" ]
        [ "$(sed -n 1p "$OUT")" = "Usage: pasta [OPTION]... [COMMAND] [ARGS]..." ]
        [ "$(sed -n 2p "$OUT")" = "       pasta [OPTION]... PID" ]
        [ "$(sed -n 3p "$OUT")" = "       pasta [OPTION]... --netns [PATH|NAME]" ]
    done
}

@test "help: a full disk is an error" {
    status=0
    "$PASTA" --help >/dev/full 2>"$ERR" || status=$?
    [ "$status" -eq 1 ]
    grep -q 'no space left' "$ERR"
}

@test "usage errors: getopt's texts, then the usage" {
    misused "pasta: unrecognized option '--foo'" --foo
    misused "pasta: unrecognized option '--map-guest-address=1.2.3.4'" --map-guest-address=1.2.3.4
    misused "pasta: invalid option -- 'Z'" -Z
    misused "pasta: option requires an argument -- 'm'" -m
    misused "pasta: option '--mtu' requires an argument" --mtu
    misused "pasta: option '--debug' doesn't allow an argument" --debug=1
    misused "pasta: option '--dns-' is ambiguous; possibilities: '--dns-forward' '--dns-host'" --dns-
}

@test "values: one line that names the value" {
    refused "Invalid --log-size: 16384" --log-size 16384
    refused "Invalid --runas option: no-such-user" --runas no-such-user
    refused "Invalid --fd: x" --fd x
    refused "Could not move --fd descriptor: Bad file descriptor" --fd 913
    refused "MTU 65522 too large (max 65521)" -m 65522
    refused "Invalid guest address: 127.0.0.1" -a 127.0.0.1
    refused "Invalid prefix length: 10.0.2.1/33" -a 10.0.2.1/33
    refused "Invalid MAC address: 1:2" -M 1:2
    refused "Invalid gateway address: ::1" -g ::1
    refused "Invalid interface name nosuch0: No such device" -i nosuch0
    refused "Invalid interface name: abcdefghijklmnop (more than 15 bytes)" -I abcdefghijklmnop
    refused "Invalid or redundant outbound address: ::1" -o ::1
    refused "Cannot use DNS address " -D ""
    refused "Cannot use DNS search domain " -S ""
    refused "Invalid DNS forwarding address: 127.0.0.1" --dns-forward 127.0.0.1
    refused "Invalid host nameserver address: x" --dns-host x
    refused "Invalid address to remap to host: 127.0.0.1" --map-host-loopback 127.0.0.1
    refused "Invalid port specifier '8080,'" -t 8080,
    refused "Forwarding rule attempts to map from port 0" -u 0
    refused "Listening address not allowed for -T 127.0.0.1/9000" -T 127.0.0.1/9000
}

@test "conflicts between options" {
    refused "Redundant prefix length specification" -a 10.0.2.1/24 -n 24
    refused "-t none conflicts with previous options" -t 8080 -t none
    refused "Can't add TCP forwarding rule, TCP not enabled" --no-tcp -t 8080
    refused "IPv6 forward, but IPv6 not enabled" -4 -t ::1/8080
    refused "Both --netns and PID or command given" --netns x 1
    refused "--no-pidns is incompatible with PID or --netns" --no-pidns --netns x
    refused "Invalid PID 2147483648" 2147483648
}

@test "deprecated options warn first" {
    pasta --no-copy-routes
    [ "$status" -eq 1 ]
    [ "$(cat "$ERR")" = "--no-copy-routes will be dropped soon
--no-copy-routes needs --config-net" ]
    pasta --stderr --version
    [ "$status" -eq 0 ]
    [ "$(cat "$ERR")" = "--stderr will be dropped soon" ]
}

@test "options of other modes" {
    refused "-s is for passt / vhost-user mode only" -s /tmp/x
    refused "--one-off is for passt mode only" -1
    refused "--vhost-user is for passt mode only" --vhost-user
    refused "--repair-path is for vhost-user mode only" --repair-path none
}

@test "program names: personalities and the error for others" {
    named pasta-dev --version
    [ "$status" -eq 0 ]
    named pasta.avx2 --version
    [ "$status" -eq 0 ]
    named passt --version
    [ "$status" -eq 1 ]
    [ "$(cat "$ERR")" = "passt: not supported yet, this release does not run virtual machines" ]
    named slirp4netns --version
    [ "$status" -eq 0 ]
    named pesto --version
    [ "$status" -eq 0 ]
    head -n 1 "$OUT" | grep -Eq '^pesto [^ ]+$'
    named vpnkit --version
    [ "$status" -eq 0 ]
    [ "$(cat "$OUT")" = "$("$PASTA" --version | sed -n 's/^pasta //p')" ]
    named foo
    [ "$status" -eq 1 ]
    [ "$(cat "$ERR")" = 'Cannot determine mode, invoke as "passt" or "pasta"' ]
}

@test "links stand beside the binary" {
    for name in passt slirp4netns vpnkit; do
        [ "$(readlink "$(dirname "$PASTA")/$name")" = pasta ]
    done
}

@test "the binary is static" {
    [ "$(readelf -d "$PASTA" | grep -c NEEDED)" = 0 ]
}
