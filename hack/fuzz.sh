#!/bin/sh
# Run every fuzz target of the tree for a while each, one after the other.
#
# Usage: hack/fuzz.sh [DURATION] [DIRECTORY]     (default: 5s, whole tree)
set -eu
cd "$(dirname "$0")/.."
duration=${1:-5s}
tree=${2:-.}

# fuzz_target PACKAGE TARGET. At the end of its time the fuzzer sometimes reports
# its own deadline as a failure; a finding always names the file it wrote. New
# inputs are not minimised, which would take most of a short run.
fuzz_target() {
    log=$(mktemp)
    if go test -run='^$' -fuzz="^$2\$" -fuzztime="$duration" -fuzzminimizetime=1x "$1" >"$log" 2>&1; then
        grep '^fuzz: elapsed' "$log" | tail -n 1
    elif grep -q 'context deadline exceeded' "$log" && ! grep -q 'Failing input written' "$log"; then
        echo "no finding before the deadline"
    else
        cat "$log"
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

list=$(mktemp)
trap 'rm -f "$list"' EXIT
grep -rn --include='*_test.go' -o '^func Fuzz[A-Za-z0-9_]*' "$tree" | sort >"$list"
failed=
while IFS=: read -r file _ declaration; do
    target=${declaration#func }
    package=./$(dirname "${file#./}")
    echo "fuzz $package $target for $duration"
    fuzz_target "$package" "$target" </dev/null || failed="$failed $target"
done <"$list"
[ -s "$list" ] || { echo "no fuzz target found" >&2; exit 1; }
[ -z "$failed" ] || { echo "findings in:$failed" >&2; exit 1; }
