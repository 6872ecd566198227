#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# check-apart.sh LIBIBCLIENT LIBSOFTVERBS INTERPOSER COMMAND: libibclient knows
# nothing of softverbs, and softverbs nothing of libibclient: no symbol, no
# library, no word that only the other knows.
set -u
wrong=0

complain() {
	echo "check-apart: $*" >&2
	wrong=1
}

# has_none FILE PATTERN: neither symbols, defined or wanted, nor needed libraries
has_none() {
	local found
	found=$({
		nm "$1"
		nm -D "$1"
		readelf -d "$1" | grep NEEDED
	} 2>/dev/null | grep -E "$2" | head -n 3)
	[ -z "$found" ] || complain "${1##*/} has" "$found"
}

# A check that reads nothing would always pass.
[ "$(nm -D "$1" | grep -c ' T ibc_')" -gt 30 ] || complain "$1: no symbols"
[ "$(nm -D "$2" | grep -c ' T softverbs_')" -gt 5 ] || complain "$2: no symbols"
[ "$(nm -D "$3" | grep -c ' T ibv_')" -gt 50 ] || complain "$3: no symbols"

has_none "$1" 'softverbs|[ _]sv_|[ _]soft_'
for file in "${@:2}"; do
	has_none "$file" '[ _]ibc_|ibc__|ibclient'
done
[ "$wrong" = 0 ] && echo "libibclient and softverbs: apart"
exit "$wrong"
