#!/bin/sh
# Run a command, or a shell, in a new namespace connected by bin/pasta.
#
# Usage: hack/run.sh [COMMAND]     (COMMAND is one shell command line)
set -eu
cd "$(dirname "$0")/.."
hack/setup.sh tun
if [ $# -eq 0 ] || [ -z "$1" ]; then
    exec bin/pasta --config-net
fi
exec bin/pasta --config-net -- sh -c "$1"
