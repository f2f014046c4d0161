# shellcheck shell=bash
# Podman 5.8 with --network slirp4netns, which runs it with sandbox, filter and IPv6.

# bats file_tags=root

load helpers
load lib/machine
load lib/podman
load lib/podman-slirp

setup_file() {
	slirp_start
}

teardown_file() { machine_stop; }

teardown() {
	podman_clean
	leaves_nothing
}

@test "it is this one that runs" { slirp_is_ours; }

@test "what a container has from the start" { slirp_first_sight; }

@test "a container reaches the peer" { slirp_goes_out; }

@test "address plan and resolver" { slirp_addresses; }

@test "mtu, cidr, enable_ipv6, outbound_addr" { slirp_options; }

@test "allow_host_loopback" { slirp_loopback; }

@test "ports by slirp4netns" { slirp_ports slirp4netns; }

@test "ports by slirp4netns show the client" { slirp_shows_clients; }

@test "ports by RootlessKit" { slirp_ports rootlesskit; }

@test "ports by default" { slirp_ports; }

@test "slirp4netns ends with the container" { slirp_ends; }
