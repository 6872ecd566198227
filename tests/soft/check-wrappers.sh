#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# usage: check-wrappers.sh INTERPOSER [LIBIBVERBS]
#
# Fails if libibverbs has a public function that the interposer does not have,
# or if the interposer exports anything else.
set -eu

preload=$1
lib=${2:-$(ldconfig -p | awk '$1 == "libibverbs.so.1" { print $NF; exit }')}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# private names change at will; ibv_devinfo uses one of them
nm -D --defined-only "$lib" |
	awk '$2 ~ /[TW]/ && ($3 !~ /@IBVERBS_PRIVATE/ ||
	     $3 ~ /^ibv_query_gid_type@/) { sub(/@.*/, "", $3); print $3 }' |
	sort -u >"$tmp/wanted"
nm -D --defined-only "$preload" | awk '{ print $3 }' | sort -u >"$tmp/ours"

if ! [ -s "$tmp/wanted" ]; then
	echo "$lib: no symbols" >&2
	exit 1
fi
missing=$(comm -23 "$tmp/wanted" "$tmp/ours")
foreign=$(grep -Ev '^_?ibv_|^(mult|mbps)_to_ibv_rate$' "$tmp/ours" || :)
if [ -n "$missing" ]; then
	echo "$lib: not wrapped:" $missing >&2
fi
if [ -n "$foreign" ]; then
	echo "$preload: should not export:" $foreign >&2
fi
[ -z "$missing$foreign" ]
echo "$(wc -l <"$tmp/wanted") public functions of $lib, all wrapped"
