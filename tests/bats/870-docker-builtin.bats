# shellcheck shell=bash
# Rootless Docker with slirp4netns as its network, and ports by RootlessKit alone: what
# the script chooses where it finds a slirp4netns.

# bats file_tags=root

load helpers
load lib/machine
load lib/docker

setup_file() { docker_start slirp4netns builtin; }

teardown_file() { docker_stop; }

teardown() { docker_clean; }

@test "a container reaches the peer" { goes_out; }

@test "names are resolved by the resolver of the host" { asks_the_resolver; }

@test "the host's loopback cannot be reached" { loopback_is_hidden; }

@test "published ports come with the container and go with it" { ports_come_and_go; }

@test "docker version names both drivers" { names_drivers slirp4netns builtin; }
