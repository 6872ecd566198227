#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# check-imports.sh LIBIBCLIENT.SO : all that the library imports is in
# contract/imports.txt: made to fail by the tests, or with a reason why not. Exit
# status: 0, or 1 with a line for each that is missing.
set -u
export LC_ALL=C
LIB=$(readlink -f "${1:?usage: check-imports.sh LIBIBCLIENT.SO}") || exit 1
cd "$(dirname "$0")/contract" || exit 1
LIST=imports.txt
WRONG=0

wrong()
{
	echo "check-imports: $*"
	WRONG=$((WRONG + 1))
}

# Without version, and by the name that the source has: __isoc99_sscanf,
# __snprintf_chk, __register_atfork.
imports()
{
	nm -D --undefined-only "$LIB" | awk '{ print $NF }' |
		sed -E 's/@.*//; s/^_+//; s/_chk$//; s/^isoc[0-9]+_//
			s/^register_atfork$/pthread_atfork/; s/_+$//' | sort -u
}

# what is wrong in the list itself
while read -r HOW NAME REASON; do
	case $HOW in
	'#'* | '') ;;
	inject)
		grep -Eq "inject_$NAME\(|WRAP(_MEMORY)?\([^,]*, $NAME," inject*.c ||
			wrong "$LIST: there is no inject_$NAME()"
		;;
	never) [ -n "$REASON" ] || wrong "$LIST: never $NAME: why?" ;;
	*) wrong "$LIST: $HOW $NAME: neither inject nor never" ;;
	esac
done < $LIST

NUM=0
for NAME in $(imports); do
	NUM=$((NUM + 1))
	grep -Eq "^(inject|never) $NAME([[:space:]]|\$)" $LIST ||
		wrong "the library calls $NAME(): let it fail (inject.h), or" \
			"say in tests/contract/$LIST why it never does"
done
[ $NUM -gt 20 ] || wrong "nm lists no imports of $LIB"
[ $WRONG = 0 ] || exit 1
echo "check-imports: $NUM imports, $(grep -c '^inject' $LIST) made to fail: ok"
