# shellcheck shell=bash
# Trees of Debian to run things in: made once, entered through an overlay, so that
# nothing is ever written to them. Sourced by fresh.sh, sidtree.sh and the
# benchmark; making and mounting need root.

# shellcheck disable=SC2034 # where those who source this keep theirs
TREES=${XDG_CACHE_HOME:-$HOME/.cache}

# tree_archive prints the address of Debian's archive in the apt configuration.
tree_archive() {
	local uri
	# shellcheck disable=SC2016 # for apt
	uri=$(apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' |
		awk '$1 == "Debian" && $2 == "Debian" { print $3; exit }')
	[ -n "$uri" ] || { echo "no Debian archive in the apt configuration" && return 1; } >&2
	echo "$uri"
}

# tree_make DIR SUITE [FUNCTION ARGS...]: a minimal SUITE in DIR, which FUNCTION,
# called with the directory before ARGS, completes. DIR appears when all is done.
tree_make() {
	local dir=$1 suite=$2 uri
	shift 2
	uri=$(tree_archive) || return
	rm -rf "$dir.new"
	mkdir -p "$dir.new"
	debootstrap --variant=minbase "$suite" "$dir.new" "$uri" || return
	[ $# -eq 0 ] || "$1" "$dir.new" "${@:2}" || return
	rm -rf "$dir"
	mv "$dir.new" "$dir"
}

# tree_mount TREE DIR: TREE at DIR/root, with devices and the procfs of this PID
# namespace; what is written there goes to DIR.
tree_mount() {
	local root=$2/root
	mkdir -p "$2"/{root,upper,work}
	mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay "$root"
	mount --rbind /dev "$root/dev"
	mount -t proc proc "$root/proc"
}

# tree_pivot ROOT: ROOT becomes the root of this mount namespace. A chroot would
# not do: in there user namespaces cannot be created.
tree_pivot() {
	cd "$1" || return
	mkdir -p old
	pivot_root . old
	cd /
	umount -l /old
}
