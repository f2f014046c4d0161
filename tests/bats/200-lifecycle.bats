#!/usr/bin/env bats
# Processes and their life cycle: targets, exit statuses, signals, readiness,
# PID and log files, the end of the namespace. Runs as an ordinary user; started
# as root, it becomes one.

setup_file() {
    DIR=$(mktemp -d)
    chmod 777 "$DIR"
    cp "${PASTA:-$BATS_TEST_DIRNAME/../../bin/pasta}" "$DIR/pasta"
    chmod 755 "$DIR/pasta"
    export DIR
}

teardown_file() {
    rm -rf "$DIR"
}

setup() {
    cd "$DIR" || return
    started=()
}

# Whatever a test started ends with it.
teardown() {
    local pid
    for pid in "${started[@]}"; do
        kill -KILL "$pid" 2>/dev/null || true
    done
    umount "$DIR/ns" 2>/dev/null || true
    rm -f "$DIR"/{pid,log,out,ns,go}
}

# user CMD...: run CMD as an ordinary user.
user() {
    if [ "$(id -u)" -eq 0 ]; then
        setpriv --reuid=1000 --regid=1000 --clear-groups -- "$@"
    else
        "$@"
    fi
}

# user_bg CMD...: the same in background; the process ID goes to $pid.
user_bg() {
    if [ "$(id -u)" -eq 0 ]; then
        setpriv --reuid=1000 --regid=1000 --clear-groups -- "$@" &
    else
        "$@" &
    fi
    pid=$!
    started+=("$pid")
}

# eventually CMD...: CMD succeeds within 5 s.
eventually() {
    local i
    for ((i = 0; i < 100; i++)); do
        "$@" && return
        sleep 0.05
    done
    echo "never: $*"
    return 1
}

# gone PID: the process has ended, whether or not its parent took notice.
gone() { ! grep -Eq '^State:\s+[^ZX]' "/proc/$1/status" 2>/dev/null; }

# target: start a process in new user and network namespaces; its ID goes to
# $target.
target() {
    user_bg unshare -Urn sleep 60
    target=$pid
    eventually in_other_netns "$target"
}

in_other_netns() {
    local ns
    ns=$(user readlink "/proc/$1/ns/net") && [ "$ns" != "$(readlink /proc/self/ns/net)" ] &&
        [ "$(cat "/proc/$1/comm")" = sleep ]
}

# attach ARGS...: run pasta in background mode; the daemon's ID goes to $daemon.
attach() {
    timeout 10 cat <(user ./pasta --config-net -P "$DIR/pid" "$@" 2>&1 && echo ended) >out
    grep -q '^ended$' out
    daemon=$(cat pid)
    started+=("$daemon")
}

@test "command: exit status" {
    run user ./pasta --config-net -- true
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    run user ./pasta --config-net -- sh -c 'exit 7'
    [ "$status" -eq 7 ]
    run user ./pasta --config-net --no-pidns -- sh -c 'kill -TERM $$'
    [ "$status" -eq 143 ]
    run user ./pasta --config-net --no-pidns -- sh -c 'kill -KILL $$'
    [ "$status" -eq 137 ]
}

@test "command: cannot be started" {
    run user ./pasta --config-net -- /nonexistent/command
    [ "$status" -eq 1 ]
    [ "$output" = "Failed to start command or shell: No such file or directory" ]
    run user ./pasta --config-net -- nonexistent-command
    [ "$output" = "Failed to start command or shell: No such file or directory" ]
    run user ./pasta --config-net -- /etc/passwd
    [ "$status" -eq 1 ]
    [ "$output" = "Failed to start command or shell: Permission denied" ]
}

@test "command: namespaces" {
    run user ./pasta --config-net -- sh -c 'echo $$ $(id -u) $(id -g) $(cat /proc/self/setgroups)'
    [ "$output" = "1 0 0 deny" ]
    run user ./pasta --config-net -- hostname
    [ "$output" = "pasta-$(hostname)" ]
    run user ./pasta --config-net -- cat /proc/sys/net/ipv4/ping_group_range
    [ "$output" = $'0\t0' ]
    run user ./pasta --config-net -- sh -c 'cat /proc/1/comm'
    [ "$output" = cat ] || [ "$output" = sh ]
    for ns in user net pid mnt ipc uts; do
        run user ./pasta --config-net -- readlink /proc/self/ns/$ns
        [ "$output" != "$(readlink /proc/self/ns/$ns)" ]
    done
    run user ./pasta --config-net --no-pidns -- readlink /proc/self/ns/pid
    [ "$output" = "$(readlink /proc/self/ns/pid)" ]
}

@test "command: capabilities, no filter, no marker, no inherited files" {
    run user ./pasta --config-net -- grep -E 'CapEff|NoNewPrivs|^Seccomp:' /proc/self/status
    [ "${lines[0]#*	}" != 0000000000000000 ]
    [ "${lines[1]}" = $'NoNewPrivs:\t0' ]
    [ "${lines[2]}" = $'Seccomp:\t0' ]
    run user ./pasta --config-net -- sh -c 'env | grep _PASTA'
    [ "$status" -eq 1 ]
    [ -z "$output" ]
    run user ./pasta --config-net -- sh -c 'ls /proc/$$/fd' 7</dev/null
    [ "$(echo $output)" = "0 1 2" ]
}

@test "command: standard streams" {
    run bash -c "$(declare -f user); echo text | user ./pasta --config-net -- sh -c 'cat; echo err >&2' 2>&1"
    [ "$output" = $'text\nerr' ]
}

@test "command: default is the login shell" {
    run bash -c "$(declare -f user); echo 'echo \$0' | SHELL=/bin/sh user ./pasta --config-net"
    [ "$output" = "-/bin/sh" ]
    run bash -c "$(declare -f user); unset SHELL; echo 'echo \$0' | user ./pasta --config-net"
    [ "$output" = "-/bin/sh" ]
}

@test "command: network is ready when it starts" {
    run user ./pasta --config-net -- sh -c 'ip -o link show up | wc -l'
    [ "$output" -eq 2 ]
}

@test "command: given user namespace" {
    target
    run user ./pasta --config-net --userns "/proc/$target/ns/user" -- readlink /proc/self/ns/user
    [ "$output" = "$(user readlink "/proc/$target/ns/user")" ]
}

@test "command: goes on when pasta is killed" {
    user_bg ./pasta --config-net -- sh -c 'touch go; sleep 1; touch out'
    eventually test -e go
    kill -KILL "$pid"
    eventually test -e out
}

@test "signals: end of a run" {
    for expected in TERM:0 QUIT:0 INT:130 HUP:129; do
        rm -f go
        # The shell ignores SIGINT and SIGQUIT in background processes.
        user_bg env --default-signal ./pasta --config-net -- sh -c 'touch go; exec sleep 1'
        eventually test -e go
        kill -USR1 "$pid"
        kill -PIPE "$pid"
        kill "-${expected%:*}" "$pid"
        status=0
        wait "$pid" || status=$?
        echo "$expected: status $status"
        [ "$status" -eq "${expected#*:}" ]
    done
}

@test "signals: ignored ones stay ignored" {
    user_bg sh -c 'trap "" INT; exec ./pasta --config-net -- sh -c "touch go; sleep 1; exit 3"'
    eventually test -e go
    kill -INT "$pid"
    status=0
    wait "$pid" || status=$?
    [ "$status" -eq 3 ]
}

@test "terminal: Ctrl-C ends a command that does not handle it" {
    command -v expect >/dev/null || skip "expect is not installed"
    run expect <<'EOF'
set timeout 10
if {[exec id -u] == 0} { set user {setpriv --reuid=1000 --regid=1000 --clear-groups --} } { set user env }
spawn {*}$user ./pasta --config-net -- sh -c {echo ready; exec sleep 60}
expect ready
sleep 0.2
send "\x03"
expect eof
exit [lindex [wait] 3]
EOF
    [ "$status" -eq 130 ]
}

@test "terminal: Ctrl-C reaches a command that handles it" {
    command -v expect >/dev/null || skip "expect is not installed"
    run expect <<'EOF'
set timeout 10
if {[exec id -u] == 0} { set user {setpriv --reuid=1000 --regid=1000 --clear-groups --} } { set user env }
spawn {*}$user ./pasta --config-net -- bash -c {trap "ip -o addr show scope global | wc -l; exit 9" INT; echo ready; while :; do sleep 0.1; done}
expect ready
send "\x03"
expect -re {[1-9]}
expect eof
exit [lindex [wait] 3]
EOF
    [ "$status" -eq 9 ]
}

@test "terminal: job control in the shell" {
    command -v expect >/dev/null || skip "expect is not installed"
    run expect <<'EOF'
set timeout 10
if {[exec id -u] == 0} { set user {setpriv --reuid=1000 --regid=1000 --clear-groups --} } { set user env }
spawn {*}$user ./pasta --config-net -- bash --norc
expect -re {[#$] $}
send "sleep 50\r"
sleep 0.3
send "\x1a"
expect Stopped
send "kill %1; sleep 60\r"
sleep 0.3
send "\x03"
send "echo status=\$?.\r"
expect -re {status=130\.}
send "exit 5\r"
expect eof
exit [lindex [wait] 3]
EOF
    [ "$status" -eq 5 ]
}

@test "background: PID file, released streams, own session and PID namespace" {
    target
    attach "$target"
    [ "$(stat -c %a pid)" = 600 ]
    kill -0 "$daemon"
    [ "$(awk '/^NSpid/ {print $NF}' "/proc/$daemon/status")" = 1 ]
    [ "$(ps -o sid= -p "$daemon" | tr -d ' ')" = "$daemon" ] || [ "$(ps -o tty= -p "$daemon")" = "?" ]
    for fd in 0 1 2; do
        [ "$(stat -L -c %t:%T "/proc/$daemon/fd/$fd")" = 1:3 ]
    done
}

@test "background: the network is complete when the front ends" {
    target
    user ./pasta --config-net -q "$target"
    run user nsenter -t "$target" -U -n --preserve-credentials ip -o link show up
    [ "${#lines[@]}" -eq 2 ]
    kill "$target"
}

@test "background: ends with the process" {
    target
    attach -l "$DIR/log" "$target"
    kill "$target"
    eventually gone "$daemon"
    tail -n 1 log | grep -Eq '^[0-9]+\.[0-9]{4}: info:    Namespace net is gone, exiting$'
}

@test "background: ended by SIGTERM" {
    target
    attach "$target"
    kill -TERM "$daemon"
    eventually gone "$daemon"
    kill -0 "$target"
}

@test "background: no wake-ups while nothing happens" {
    target
    # The link stays down: the guest's kernel has nothing to say.
    user ./pasta -q -P pid "$target"
    daemon=$(cat pid)
    started+=("$daemon")
    sleep 0.5
    before=$(cat /proc/"$daemon"/task/*/status | awk '/ctxt_switches/ {n += $2} END {print n}')
    sleep 2
    after=$(cat /proc/"$daemon"/task/*/status | awk '/ctxt_switches/ {n += $2} END {print n}')
    echo "context switches in 2 s: $((after - before))"
    [ $((after - before)) -le 1 ]
}

@test "background: inherited files are closed" {
    target
    mkfifo go
    exec 9<>go
    attach "$target"
    exec 9>&-
    for fd in "/proc/$daemon/fd"/*; do
        [ "$(readlink "$fd")" != "$DIR/go" ]
    done
}

@test "sandbox: empty root, two capabilities, no way to get more" {
    target
    attach -q "$target"
    status_of() { awk -v key="$1:" '$1 == key {print $2}' "/proc/$daemon/status"; }
    [ "$(status_of CapEff)" = 0000000000200400 ] # SYS_ADMIN, NET_BIND_SERVICE
    [ "$(status_of CapPrm)" = 0000000000200400 ]
    for set in CapInh CapBnd CapAmb; do
        [ "$(status_of $set)" = 0000000000000000 ]
    done
    [ "$(status_of NoNewPrivs)" = 1 ]
    for ns in mnt ipc uts pid; do
        [ "$(stat -L -c %i "/proc/$daemon/ns/$ns" 2>/dev/null)" != "$(stat -L -c %i /proc/self/ns/$ns)" ]
    done
    if [ "$(id -u)" -eq 0 ]; then # nobody else may look: it is not dumpable
        [ -z "$(ls -A "/proc/$daemon/root/")" ]
    fi
}

@test "foreground: own process ID in the file, daemon ends with the front" {
    target
    user_bg ./pasta --config-net -f -q -P pid "$target"
    front=$pid
    eventually test -s pid
    [ "$(cat pid)" = "$front" ]
    daemon=$(pgrep -P "$front")
    kill -KILL "$front"
    eventually gone "$daemon"
}

@test "foreground: ends with the process, status 0" {
    target
    user_bg ./pasta --config-net -f -P pid "$target"
    front=$pid
    eventually test -s pid
    kill "$target"
    wait "$front"
}

@test "log file: mode, header, lines" {
    target
    user ./pasta --config-net -l "$DIR/log" "$target"
    [ "$(stat -c %a log)" = 600 ]
    head -n 1 log | grep -Eq "^pasta [^ ]+: $DIR/pasta \([0-9]+\)$"
    [ "$(sed 1d log | grep -Evc '^[0-9]+\.[0-9]{4}: (ERROR:   |WARNING: |info:    |         )')" -eq 0 ]
    grep -q 'info:    MAC:' log
    kill "$target"
}

@test "log levels" {
    target
    run user ./pasta --config-net "$target"
    [[ $output = *"MAC:"* ]]
    kill "$target"
    target
    run user ./pasta --config-net -q "$target"
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    kill "$target"
    run user ./pasta --config-net -d -- true
    [[ ${lines[0]} =~ ^[0-9]+\.[0-9]{4}:\  ]]
}

@test "files that cannot be opened" {
    for option in -P -l; do
        run user ./pasta --config-net $option /nonexistent/file -- true
        [ "$status" -eq 1 ]
        [[ $output = "Couldn't open "*" file /nonexistent/file: No such file or directory" ]]
    done
    run user ./pasta --config-net -p /nonexistent/file -- true
    [ "$status" -eq 0 ]
    [[ $output = *"/nonexistent/file: No such file or directory" ]]
}

@test "standard streams closed" {
    user ./pasta --config-net -- sh -c 'ls -l /proc/$$/fd >out' <&- >&- 2>&-
    [ "$(grep -c -- '-> /dev/null$' out)" -ge 2 ]
    target
    user ./pasta --config-net -P pid "$target" <&- >&- 2>&-
    started+=("$(cat pid)")
    kill -0 "$(cat pid)"
}

@test "read-only /tmp" {
    run user unshare -Urm --propagation private bash -c '
        mount -t tmpfs -o ro none /tmp
        cd /
        ! touch /tmp/x 2>/dev/null || exit 99
        exec -a pasta /proc/self/fd/8 --config-net -- sh -c "exit 4"' 8<pasta
    [ "$status" -eq 4 ]
}

@test "wrong PID" {
    run user ./pasta --config-net 2147480000
    [ "$status" -eq 1 ]
    [ "$output" = "Couldn't open user namespace /proc/2147480000/ns/user: No such file or directory" ]
    run user ./pasta --config-net --userns /nonexistent --netns /nonexistent
    [ "$status" -eq 1 ]
    [ "$output" = "Couldn't open user namespace /nonexistent: No such file or directory" ]
    run user ./pasta --config-net --userns /dev/null --netns /nonexistent
    [ "$output" = "Couldn't enter user namespace /dev/null: Invalid argument" ]
}

@test "network namespace that does not exist" {
    run user ./pasta --config-net --netns none
    [ "$status" -eq 1 ]
    [ "$output" = "Couldn't open network namespace /run/netns/none: No such file or directory" ]
    run user ./pasta --config-net --netns-only 2147480000
    [ "$output" = "Couldn't open network namespace /proc/2147480000/ns/net: No such file or directory" ]
}

@test "failures leave no process behind" {
    target
    for options in "-I lo" "-t 80" "-i nonexistent"; do
        run user ./pasta --config-net $options "$target"
        [ "$status" -eq 1 ]
        [ -n "$output" ]
    done
    run user ./pasta --config-net -I lo "$target"
    [ "$output" = "TUNSETIFF ioctl on /dev/net/tun failed: Invalid argument
Failed to set up tap device in namespace" ]
    [ -z "$(pgrep -f "^./pasta --config-net -[Iti] .*$target")" ]
}

@test "network namespace by path: from outside and without rights" {
    target
    attach --userns "/proc/$target/ns/user" --netns "/proc/$target/ns/net"
    kill "$target"
    eventually gone "$daemon"
    target
    run user ./pasta --config-net --netns "/proc/$target/ns/net"
    [ "$status" -eq 1 ]
    [ "$output" = "Couldn't switch to pasta namespaces: Operation not permitted" ]
}

# inside SCRIPT: run it as user 0 of a new user namespace, as a rootless engine.
inside() {
    user unshare -Urm --propagation private sh -euc "$1"
}

@test "network namespace by name of a file: ends when it is unlinked" {
    run inside '
        touch ns
        unshare -n mount --bind /proc/self/ns/net ns
        ./pasta --config-net -q -P pid --netns ./ns
        pid=$(cat pid)
        kill -0 $pid
        umount -l ns
        sleep 0.2
        grep -q "^State:.*sleeping" /proc/$pid/status
        rm ns
        for i in 1 2 3 4 5 6 7 8 9 10; do
            grep -Eq "^State:\s+[^ZX]" /proc/$pid/status 2>/dev/null || { echo gone; exit; }
            sleep 0.05
        done
        kill $pid'
    echo "$output"
    [ "$output" = gone ]
}

@test "--no-netns-quit" {
    target
    attach -q --no-netns-quit "$target"
    kill "$target"
    eventually gone "$target"
    sleep 1.2
    kill -0 "$daemon"
}

@test "root becomes nobody" {
    [ "$(id -u)" -eq 0 ] || skip "not root"
    run ./pasta --config-net -- sh -c 'cat /proc/self/uid_map'
    [ "${lines[0]}" = "Started as root, will change to nobody." ]
    [ "$(echo ${lines[1]})" = "0 65534 1" ]
    run ./pasta --config-net --runas 1234:1235 -- cat /proc/self/uid_map /proc/self/gid_map
    [ "$(echo $output)" = "0 1234 1 0 1235 1" ]
    run ./pasta --config-net --runas daemon -- cat /proc/self/uid_map
    [ "$(echo $output)" = "0 $(id -u daemon) 1" ]
    run ./pasta --config-net --runas nonexistent-user -- true
    [ "$status" -eq 1 ]
    [ "$output" = "Invalid --runas option: nonexistent-user" ]
}

@test "root attaches to a namespace of root with --runas 0" {
    [ "$(id -u)" -eq 0 ] || skip "not root"
    unshare -n sleep 60 &
    target=$!
    started+=("$target")
    eventually grep -q sleep "/proc/$target/comm"
    run ./pasta --config-net -q --netns "/proc/$target/ns/net"
    [ "$status" -eq 1 ]
    ./pasta --config-net -q --runas 0 -P pid "$target"
    daemon=$(cat pid)
    kill "$target"
    eventually gone "$daemon"
}
