#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# check-symbols.sh LIBRARY.SO [HEADER MAP [PRIVATE]] : the functions that the
# public header declares, the names in the map and what the library exports are
# the same set; each name is a function, and what the header declares is
# documented there. Names with __ are those of the header PRIVATE, and have a
# version that says so. Without headers: libibclient's. Exit status: 0, or 1 with
# a line for each difference.
set -u
export LC_ALL=C
LIB=$(readlink -f "${1:?usage: check-symbols.sh LIBRARY.SO […]}") || exit 1
cd "$(dirname "$0")/.." || exit 1
HEADER=${2:-include/infiniband/ibclient.h}
MAP=${3:-libibclient/libibclient.map}
PRIVATE=${4:-libibclient/owner.h}
[ $# -lt 3 ] || PRIVATE=${4:-/dev/null}
TMP=$(mktemp -d) || exit 1
trap 'rm -rf "$TMP"' EXIT
WRONG=0

wrong()
{
	echo "check-symbols: $*"
	WRONG=$((WRONG + 1))
}

without_comments()
{
	sed -z 's#/\*[^*]*\*\+\([^/*][^*]*\*\+\)*/##g' "$1"
}

# compare A B "words": what is in A and not in B
missing()
{
	local name

	while read -r name; do
		wrong "$name $3"
	done < <(comm -23 "$TMP/$1" "$TMP/$2")
}

# A callback's parameter is `(*add)(struct ...`: its name has no ibc_ before (.
{
	without_comments "$HEADER" | grep -oE '\bibc_[a-z0-9_]+\('
	without_comments "$PRIVATE" | grep -oE '\bibc__[a-z0-9_]+\('
} | tr -d '(' | sort -u > "$TMP/header"
# Only what is between `global:` and `local:` of each version.
without_comments "$MAP" | awk '/global:/ { on = 1; next } /local:|}/ { on = 0 } on' |
	tr -d '\t ;' | grep . | sort > "$TMP/map.all"
sort -u "$TMP/map.all" > "$TMP/map"
# Versions themselves are absolute symbols (A).
nm -D --defined-only "$LIB" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' |
	sort -u > "$TMP/lib"
nm -D --defined-only "$LIB" | awk '$2 == "T" { sub(/@.*/, "", $3); print $3 }' |
	sort -u > "$TMP/functions"
{
	sed -n 's/^ \* \(ibc_[a-z0-9_]*\) - .*/\1/p' "$HEADER"
	grep ^ibc__ "$TMP/header"
} | sort -u > "$TMP/doc"

for LIST in header map lib; do
	[ -s "$TMP/$LIST" ] || wrong "no symbol found in the $LIST"
done
missing header map "is declared in the header, but not in the map"
missing map header "is in the map, but not declared in the header"
missing map lib "is in the map, but not exported by the library"
missing lib map "is exported by the library, but not in the map"
missing lib functions "is exported, but is no function"
missing header doc "is declared in the header without kernel-doc"
for NAME in $(uniq -d "$TMP/map.all"); do
	wrong "$NAME is in the map twice"
done
nm -D --defined-only "$LIB" | awk '$2 != "A" && $3 !~ /@@?IBCLIENT_/ ||
	($3 ~ /^ibc__/) != ($3 ~ /@@?IBCLIENT_PRIVATE_/)' |
	grep -q . && wrong "a symbol is exported without a version, or with another"
[ $WRONG = 0 ] || exit 1
echo "check-symbols: $(wc -l < "$TMP/map") functions: ok"
