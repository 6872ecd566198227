#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# check-probes.sh LIBRARY.SO [without] : are Documentation/probes.md and the USDT
# probes of the library of one mind? Each probe of the table is in the library, with
# these arguments, as many and of their sizes; each of the library is in the table; the
# lines of bpftrace there have a line for each probe, and use no argument that it does
# not have; ibclient(7) names them all.
#
# `without`: the library is built without probes, and must have none. Exit status: 0,
# 1 with a line for each thing that is wrong, 77 if there is nothing to check.
set -u
export LC_ALL=C
LIB=$(readlink -f "${1:?usage: check-probes.sh LIBRARY.SO [without]}") || exit 1
cd "$(dirname "$0")/.." || exit 1
DOC=Documentation/probes.md
PAGE=libibclient/man/ibclient.7.md
WRONG=0
declare -A ARGS=() SEEN=()

wrong()
{
	echo "check-probes: $*"
	WRONG=$((WRONG + 1))
}

# What the library has: "NAME SIZE@WHERE SIZE@WHERE ..."
probes()
{
	readelf -nW "$LIB" | sed -n '/Provider: libibclient$/,/Arguments:/{
		s/^ *Name: //p
		s/^ *Arguments: *//p
	}' | paste -d ' ' - -
}

# size NAME: as the notes have it, negative if signed
size()
{
	local long=8

	readelf -h "$LIB" | grep -q 'Class: *ELF32' && long=4
	case $1 in
	device | client | old_name | reason | source | data | incarnation)
		echo $long ;;
	index | adopted | error | type) echo -4 ;;
	number | count) echo 4 ;;
	*) echo unknown ;;
	esac
}

# check_arguments PROBE ARGUMENT...
check_arguments()
{
	local probe=$1 name n=0
	local names=()
	shift

	IFS=', ' read -ra names <<< "${ARGS[$probe]}"
	[ $# = ${#names[@]} ] ||
		wrong "$probe has $# arguments, not ${#names[@]}"
	for name in "${names[@]}"; do
		n=$((n + 1))
		[ "${!n:-}" ] || continue
		[ "$(size "$name")" = "${!n%%@*}" ] ||
			wrong "$probe: $name is ${!n%%@*} bytes in the library," \
				"$(size "$name") would be right"
	done
	[ "${names[*]:0:3}" = "device index incarnation" ] ||
		wrong "$probe: it does not begin with device, index, incarnation"
}

# Each line may have several; of each no argument beyond its last.
check_bpftrace()
{
	local line rest probe most names

	while read -r line; do
		rest=${line#*usdt:}
		while [ -n "$rest" ]; do
			probe=${rest#*:libibclient:}
			probe=${probe%% *}
			most=$(grep -o '\barg[0-9]*' <<< "${rest%%usdt:*}" |
				tr -d arg | sort -n | tail -1)
			IFS=', ' read -ra names <<< "${ARGS[$probe]:-}"
			[ "${most:-0}" -lt ${#names[@]} ] ||
				wrong "$DOC: bpftrace: $probe has no arg$most"
			SEEN[$probe]="${SEEN[$probe]:-} bpftrace"
			case $rest in
			*usdt:*) rest=${rest#*usdt:} ;;
			*) rest= ;;
			esac
		done
	done < <(grep '^    bpftrace ' "$DOC")
}

if [ "${2:-}" = without ]; then
	[ -z "$(probes)" ] || {
		echo "check-probes: it was built without probes, and has some"
		exit 1
	}
	echo "check-probes: skipped: the library was built without probes" \
		"(no <sys/sdt.h>, or IBC_USDT=OFF): install systemtap-sdt-dev"
	exit 77
fi

while IFS='|' read -r _ PROBE _ NAMES _; do
	PROBE=$(tr -d '` ' <<< "$PROBE")
	[ -z "${ARGS[$PROBE]:-}" ] || wrong "$DOC: $PROBE is there twice"
	ARGS[$PROBE]=$NAMES
done < <(grep '^| `' "$DOC")
[ ${#ARGS[@]} -gt 0 ] || wrong "$DOC: no table of probes found"

while read -r PROBE WHERE; do
	SEEN[$PROBE]="${SEEN[$PROBE]:-} library"
	if [ -z "${ARGS[$PROBE]:-}" ]; then
		wrong "$PROBE is in the library, but not in $DOC"
		continue
	fi
	# shellcheck disable=SC2086
	check_arguments "$PROBE" $WHERE
done < <(probes)
check_bpftrace
for PROBE in "${!ARGS[@]}"; do
	[[ ${SEEN[$PROBE]:-} == *library* ]] ||
		wrong "$PROBE is in $DOC, but not in the library"
	[[ ${SEEN[$PROBE]:-} == *bpftrace* ]] ||
		wrong "$DOC: no line of bpftrace for $PROBE"
	sed -n '/^# PROBES/,/^# [^P]/p' "$PAGE" | grep -qF "**$PROBE**" ||
		wrong "$PAGE: no $PROBE in PROBES"
done
[ $WRONG = 0 ] || exit 1
echo "check-probes: ${#ARGS[@]} probes: ok"
