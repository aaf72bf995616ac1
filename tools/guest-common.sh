# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What guest-rootfs and guest-initramfs share: a folder is filled, and cached results are named
# after the hash of everything that went in. Sourced; sets $project and expects bash -eu.

# shellcheck disable=SC2034 # for those who source this
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export LC_ALL=C
umask 022

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

need() {
	local tool
	# Debian keeps some of these where only root looks.
	PATH=$PATH:/usr/sbin:/sbin
	for tool; do
		command -v "$tool" >/dev/null || die "needs $tool"
	done
}

# The path of a busybox that runs without libraries.
find_busybox() {
	local path
	path=$(command -v busybox) || die "needs busybox (package busybox-static)"
	[ -z "$(ldd "$path" 2>/dev/null)" ] ||
		die "$path is not static (package busybox-static has one that is)"
	readlink -f "$path"
}

# Checks that each argument has the form SRC:DST with a source that exists.
check_adds() {
	local add
	for add; do
		[[ $add == ?*:/?* ]] || die "--add $add: expected SRC:/DST"
		[ -e "${add%%:*}" ] || die "--add $add: '${add%%:*}' does not exist"
	done
}

# Prints names, modes, link targets and contents of files or folders.
describe() {
	local path
	for path; do
		find "$path" -printf '%y %m %P %l\n' | sort
		find "$path" -type f -print0 | sort -z | xargs -0r sha256sum | cut -c-64
	done
}

# put SRC DST: copies a file or a folder to a place that others cannot write to.
put() {
	mkdir -p "$(dirname "$2")"
	if [ -d "$1" ]; then
		mkdir -p "$2"
		cp -RP --preserve=mode "$1/." "$2"
	else
		cp -L --preserve=mode "$1" "$2"
	fi
	chmod -R go-w "$2"
}

# put_busybox BUSYBOX TREE: the program as /bin/busybox and a link for each applet but init.
put_busybox() {
	local applet
	put "$1" "$2/bin/busybox"
	"$1" --list-full | while read -r applet; do
		case $applet in
		*/init | init | linuxrc | */busybox) continue ;;
		esac
		mkdir -p "$2/$(dirname "$applet")"
		ln -s /bin/busybox "$2/$applet"
	done
}

# cache_path KIND SUFFIX: where the result for the description on standard input belongs.
cache_path() {
	local base=${VOLT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/volt-vmm}
	mkdir -p "$base/$1"
	echo "$base/$1/$(sha256sum | cut -c-32)$2"
}
