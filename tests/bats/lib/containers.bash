# shellcheck shell=bash
# What the tests of all container engines share: what is in their image, and whom
# processes reach. Loaded by podman.bash and docker.bash.

export CONTAINER_PORT=80 # where the test server in a container listens, TCP and UDP

# tools_root writes an archive of a root directory with busybox and nettool.
tools_root() {
	# shellcheck disable=SC2016 # for the shell in there
	as_user sh -ec '
		mkdir -p root/bin root/tmp
		cp /usr/bin/busybox /usr/local/bin/nettool root/bin/
		for name in $(busybox --list); do
			[ "$name" = busybox ] || ln -s busybox "root/bin/$name"
		done
		tar -C root -c .'
}

# reaches ADDR WHERE...: a transfer with the test server there, from WHERE (in_peer, as_user,
# podman exec NAME).
reaches() { "${@:2}" nettool up -size 100000 -timeout 10s "$1"; }

# reaches_udp ADDR WHERE...: the same with datagrams.
reaches_udp() { "${@:2}" nettool udp-echo -count 10 -size 1000 -timeout 10s "$1"; }

# refused ADDR WHERE...: nobody listens there.
refused() { expect ECONNREFUSED "${@:2}" nettool connect -timeout 5s "$1"; }

# refused_udp ADDR WHERE...: the same, by an ICMP error.
refused_udp() { expect ECONNREFUSED "${@:2}" nettool connect -udp -timeout 5s "$1"; }

# peer_of ADDR WHERE... [-- flags]: whom the server sees.
peer_of() { "${@:2}" nettool peer "$1"; }

# resolves NAME ADDRESS WHERE...: by whatever resolv.conf says there.
resolves() { "${@:3}" nslookup -type=a "$1" | grep -q "$2"; }

# sends_out WHERE...: TCP and UDP to the peer, in bulk, and refused there.
sends_out() {
	reaches "$PEER4:$OUT_PORT" "$@"
	reaches_udp "$PEER4:$OUT_PORT" "$@"
	[[ "$(peer_of "$PEER4:$OUT_PORT" "$@")" == "$HOST4":* ]]
	refused "$PEER4:1" "$@"
	"$@" nettool up -size 100000000 "$PEER4:$OUT_PORT"
	"$@" nettool down -size 100000000 "$PEER4:$OUT_PORT"
}

# Ports for published and unpublished.
export PUBLISHED="-p 8080:80 -p 8080:80/udp -p 127.0.0.1:8081:80"

# published: a container with those is reached where they say.
published() {
	reaches "$HOST4:8080" in_peer
	reaches_udp "$HOST4:8080" in_peer
	reaches 127.0.0.1:8081 as_user
	refused "$HOST4:8081" in_peer
}

# unpublished: it is gone, and so are they.
unpublished() { refused "$HOST4:8080" in_peer; }

# pastas prints the PIDs of all that run our binary in the host, as seen there.
pastas() { in_host find /proc -mindepth 2 -maxdepth 2 -name exe -lname /usr/bin/pasta -printf '%h\n' 2>/dev/null | sed 's,/proc/,,'; }

no_pasta() { [ -z "$(pastas)" ]; }

runs_pastas() { [ "$(pastas | wc -l)" -eq "$1" ]; }

fails() { ! "$@"; }
