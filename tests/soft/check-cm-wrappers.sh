#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# usage: check-cm-wrappers.sh INTERPOSER [LIBRDMACM]
#
# Fails if librdmacm has a function rdma_*() that the interposer does not have,
# or if the interposer exports anything else. rsockets are not ours.
set -eu

shim=$1
lib=${2:-$(ldconfig -p | awk '$1 == "librdmacm.so.1" { print $NF; exit }')}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

nm -D --defined-only "$lib" |
	awk '$2 ~ /[TW]/ && $3 ~ /^rdma_/ { sub(/@.*/, "", $3); print $3 }' |
	sort -u >"$tmp/wanted"
nm -D --defined-only "$shim" | awk '{ print $3 }' | sort -u >"$tmp/ours"

if ! [ -s "$tmp/wanted" ]; then
	echo "$lib: no symbols" >&2
	exit 1
fi
missing=$(comm -23 "$tmp/wanted" "$tmp/ours")
foreign=$(grep -v '^rdma_' "$tmp/ours" || :)
# neither library may be needed: the program's are the ones
needed=$(readelf -d "$shim" | grep -E 'NEEDED.*(librdmacm|libibverbs)' || :)
if [ -n "$missing" ]; then
	echo "$lib: not wrapped:" $missing >&2
fi
if [ -n "$foreign$needed" ]; then
	echo "$shim: should not have:" $foreign "$needed" >&2
fi
[ -z "$missing$foreign$needed" ]
echo "$(wc -l <"$tmp/wanted") functions of $lib, all wrapped"
