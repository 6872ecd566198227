# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
#
# What every script here needs: where things are, how to speak, how to be root.

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034 # the other parts use it
BUILD=$TOP/build
export HOME=${HOME:-$(getent passwd "$(id -u)" | cut -d : -f 6)}
export IBC_CACHE=${IBC_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/libibclient}

say() {
	printf '%s\n' "$*"
}

warn() {
	printf '%s\n' "$*" >&2
}

die() {
	warn "run: $*"
	exit 1
}

# Milliseconds on the wall clock, without a process.
now_ms() {
	local t=$EPOCHREALTIME
	printf '%s' "$((${t%[.,]*} * 1000 + 10#${t#*[.,]} / 1000))"
}

# seconds_since MS: the time from then to now, as "12.3".
seconds_since() {
	local ms=$(($(now_ms) - $1))
	printf '%d.%d' "$((ms / 1000))" "$((ms % 1000 / 100))"
}

# Runs a command as root: directly, or through sudo.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		warn "run: this needs root, and there is no sudo: $*"
		return 1
	fi
}

# Files of the project: tracked ones and new ones, without what is ignored.
# A tarball has no git and gets everything outside build/. A file that was
# deleted but is still in git's index is not there to be looked at.
project_files() {
	local f
	{
		git -C "$TOP" ls-files -co --exclude-standard 2>/dev/null ||
			(cd "$TOP" && find . -path './build*' -prune -o \
				-path ./.git -prune -o -type f -printf '%P\n')
	} | sort -u | while read -r f; do
		if [ -f "$TOP/$f" ]; then
			printf '%s\n' "$f"
		fi
	done
}
