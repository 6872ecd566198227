#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# check-man.sh [LIBDIR] : are the man pages and the headers of one mind?
#
# For libibclient, libibclient_pd, libibclient_rdmacm (where librdmacm's header is) and
# libsoftverbs:
#
#   - each public function is named by exactly one page of section 3, and is in
#     its SYNOPSIS with the very prototype that the header has
#   - the functions of the header, those of the pages and the symbols of the
#     version script are the same; each has kernel-doc in the header
#   - no page names a function, constant or page that there is not
#   - ibclient_events(7) says of each type of event that libibverbs has what it
#     means, once
#   - each page of section 3 has all its sections, in order
#   - each EXAMPLE is a program that compiles without a warning; with LIBDIR,
#     where the libraries are, it also links and runs (one of softverbs on a
#     fabric of its own); without softverbs' library there its examples are only
#     compiled
#   - where the rendered pages are beside LIBDIR, in ../man, every name of every
#     page of a library has one
#   - the program in README.md is examples/minimal.c
#   - with pandoc: the pages render, and man(1), if there, has no complaint
#
# CC, CFLAGS: the compiler and its options. Exit status: 0, or 1 with a line for
# each thing that is wrong.
set -u
cd "$(dirname "$0")/.." || exit 1
CC=${CC:-cc}
WARN="-std=gnu11 -Wall -Wextra -Werror -Iinclude ${CFLAGS:-}"
LIBDIR=${1:+$(cd "$1" && pwd)}
ALL_PAGES="$(echo libibclient/man/*.md) $(echo tools/man/ibc_*.md)"
ALL_PAGES="$ALL_PAGES $(echo providers/soft/man/*.md)"
ALL_PAGES="$ALL_PAGES $(echo libibclient_rdmacm/man/*.md libibclient_pd/man/*.md)"
TMP=$(mktemp -d) || exit 1
trap 'rm -rf "$TMP"' EXIT
WRONG=0

wrong()
{
	echo "check-man: $*"
	WRONG=$((WRONG + 1))
}

without_comments()
{
	sed -z 's#/\*[^*]*\*\+\([^/*][^*]*\*\+\)*/##g' "$1"
}

# functions_of HEADER PREFIX
functions_of()
{
	without_comments "$1" | grep -oE "\\b$2_[a-z0-9_]+\\(" | tr -d '(' |
		sort -u
}

# The names in a page's NAME section.
names()
{
	sed -n '/^# NAME/,/^# SYN/s/ - .*//p' "$1" | tr -d ' ' | tr ',' '\n'
}

# The C code of a section of a page.
code()
{
	awk -v want="# $2" '/^# / { on = $0 == want; c = 0; next }
		on && /^```c$/ { c = 1; next }
		on && /^```$/ { c = 0 }
		on && c' "$1"
}

# check_functions HEADER PREFIX MAP PAGE...: header, map and pages agree.
check_functions()
{
	local header=$1 prefix=$2 map=$3 functions f n
	shift 3

	functions=$(functions_of "$header" "$prefix")
	[ -n "$functions" ] || wrong "$header: no function found"
	for f in $functions; do
		n=$(for p in "$@"; do names "$p"; done | grep -cx "$f")
		[ "$n" = 1 ] || wrong "$f: $n pages have it in NAME, not one"
		grep -q "^ \* $f - " "$header" || wrong "$f: no kernel-doc"
	done
	# names with __ are private
	sed -n 's/^\t\t\([a-z0-9_]*\);$/\1/p' "$map" | grep -v __ > "$TMP/map"
	while read -r f; do
		grep -qx "$f" <<< "$functions" ||
			wrong "$map: $f is not in $header"
	done < "$TMP/map"
	for f in $functions; do
		grep -qx "$f" "$TMP/map" || wrong "$map: no $f"
	done
}

# Prototypes that differ from the header's do not compile beside it.
check_synopsis()
{
	local page=$1 f

	code "$page" SYNOPSIS > "$TMP/synopsis.c"
	# shellcheck disable=SC2086
	$CC $WARN -fsyntax-only "$TMP/synopsis.c" 2> "$TMP/errors" ||
		wrong "$page: SYNOPSIS does not agree with the header:" \
			"$(grep -m1 error "$TMP/errors")"
	for f in $(names "$page"); do
		grep -q "\\b$f(" "$TMP/synopsis.c" ||
			wrong "$page: $f is not in SYNOPSIS"
		grep -qF "**$f**(" <(sed '/^# EXAMPLE/,$d' "$page") ||
			[ "$(names "$page" | wc -l)" = 1 ] ||
			wrong "$page: $f is not described"
	done
}

check_sections()
{
	local have

	have=$(sed -n 's/^# //p' "$1" | grep -v '^SPDX' | paste -sd'|')
	[ "$have" = "$2" ] || wrong "$1: sections are $have"
}

check_names()
{
	local page=$1 word

	for word in $(grep -oE '\b(ibc|softverbs)_[a-z0-9_]+(\*\*)?\(' \
			"$page" | tr -d '*(' | sort -u); do
		grep -qx "$word" <<< "$FUNCTIONS" ||
			[ -e "tools/man/$word.1.md" ] ||
			wrong "$page: there is no $word()"
	done
	while read -r word; do
		grep -qw "$word" include/infiniband/*.h \
				libibclient/man/ibclient.7.md ||
			wrong "$page: there is no $word"
	done < <(grep -oE '\b(IBC|SOFTVERBS)_[A-Z0-9_]+' "$page" | sort -u)
	for word in $(grep -oE "$PAGE_NAME" "$page" | tr -d '*' | sort -u); do
		grep -qx "$word" <<< "$PAGES" ||
			wrong "$page: there is no page $word"
	done
}

# check_example PAGE LIBRARY: runs it on a fabric that is made for it.
check_example()
{
	local page=$1 lib=$2 more=() base rc
	case $lib in
	ibclient_pd) more=(-libclient) ;;
	ibclient_rdmacm) more=(-libclient -lrdmacm) ;;
	esac
	base=$TMP/$(basename "$page" .md)

	code "$page" EXAMPLE > "$base.c"
	[ -s "$base.c" ] || { wrong "$page: no program in EXAMPLE"; return; }
	# shellcheck disable=SC2086
	$CC $WARN -c -o "$base.o" "$base.c" 2> "$TMP/errors" || {
		wrong "$page: EXAMPLE does not compile:" \
			"$(grep -m1 error "$TMP/errors")"
		return
	}
	[ -n "$LIBDIR" ] && [ -e "$LIBDIR/lib$lib.so" ] || return
	# shellcheck disable=SC2086
	$CC ${CFLAGS:-} -o "$base" "$base.o" -L"$LIBDIR" \
			-Wl,-rpath,"$LIBDIR" -l"$lib" "${more[@]}" -libverbs || {
		wrong "$page: EXAMPLE does not link"
		return
	}
	SOFTVERBS_DIR="$base.fabric" timeout 20 "$base" < /dev/null \
		> "$TMP/out" 2>&1
	rc=$?
	[ $rc = 0 ] || wrong "$page: EXAMPLE ends with $rc: $(tail -1 "$TMP/out")"
}

# check_library PREFIX NAME SECTIONS MAP PAGE...
check_library()
{
	local prefix=$1 name=$2 sections=$3 map=$4 page
	shift 4

	check_functions "include/infiniband/$name.h" "$prefix" "$map" "$@"
	for page in "$@"; do
		check_sections "$page" "$sections"
		check_synopsis "$page"
		check_example "$page" "$name"
	done
}

# check_built LIBRARY PAGE...: what is rendered is complete.
check_built()
{
	local man=$LIBDIR/../man lib=$1 page section name
	shift

	[ -d "$man" ] && [ -e "$LIBDIR/$lib" ] || return
	for page in "$@"; do
		section=${page%.md}
		section=${section##*.}
		for name in $(names "$page"); do
			[ -e "$man/$name.$section" ] ||
				wrong "$page: there is no $man/$name.$section"
		done
	done
}

check_rendering()
{
	local page out

	command -v pandoc > /dev/null || return
	for page in $ALL_PAGES; do
		out=$TMP/$(basename "$page" .md)
		pandoc -s -f markdown -t man -o "$out" "$page" ||
			wrong "$page: pandoc fails"
		command -v man > /dev/null || continue
		LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 \
			"$out" 2> "$TMP/errors" > /dev/null
		[ -s "$TMP/errors" ] &&
			wrong "$page: man: $(head -1 "$TMP/errors")"
	done
}

# event_types: what <infiniband/verbs.h> has, and what newer ones have.
event_types()
{
	# shellcheck disable=SC2086
	echo '#include <infiniband/verbs.h>' | $CC ${CFLAGS:-} -E - |
		sed -n '/^enum ibv_event_type/,/}/p' |
		grep -oE 'IBV_EVENT_[A-Z_]+'
	echo IBV_EVENT_DEVICE_SPEED_CHANGE
}

# A type is described where its line is followed by the definition.
check_events()
{
	local page=libibclient/man/ibclient_events.7.md types type n

	types=$(event_types | sort -u)
	[ "$(wc -l <<< "$types")" -gt 19 ] || wrong "$page: no types found"
	for type in $types; do
		n=$(grep -B1 '^:   ' "$page" | grep -c "\*\*$type\*\*")
		[ "$n" = 1 ] || wrong "$page: $type is described $n times"
	done
	while read -r type; do
		grep -qx "$type" <<< "$types" || wrong "there is no $type"
	done < <(grep -ohE 'IBV_EVENT_[A-Z_]*[A-Z]' libibclient/man/*.md |
		sort -u)
}

check_readme()
{
	awk '/^```c$/ && !seen { on = seen = 1; next } /^```$/ { on = 0 } on' \
		README.md > "$TMP/readme.c"
	diff <(sed 1d examples/minimal.c) "$TMP/readme.c" > /dev/null ||
		wrong "README.md: its program is not examples/minimal.c"
}

FUNCTIONS=$(functions_of include/infiniband/ibclient.h ibc
	functions_of include/infiniband/ibclient_rdmacm.h ibc
	functions_of include/infiniband/ibclient_pd.h ibc
	functions_of include/infiniband/softverbs.h softverbs)
PAGE_NAME='\*\*((ibc|softverbs)_[a-z_]+|ibclient(_events)?|softverbs)\*\*\([0-9]\)'
PAGES=$(for p in $ALL_PAGES; do
	s=${p%.md}
	s=${s##*.}
	names "$p" | sed "s/\$/($s)/"
done)

DESCRIBED="NAME|SYNOPSIS|DESCRIPTION|RETURN VALUE|ERRORS|THREAD SAFETY"
check_library ibc ibclient "$DESCRIBED|IN A CALLBACK|EXAMPLE|SEE ALSO" \
	libibclient/libibclient.map libibclient/man/*.3.md
check_library ibc ibclient_pd "$DESCRIBED|IN A CALLBACK|EXAMPLE|SEE ALSO" \
	libibclient_pd/libibclient_pd.map libibclient_pd/man/*.3.md
# shellcheck disable=SC2086
if echo '#include <rdma/rdma_cma.h>' | $CC ${CFLAGS:-} -E - > /dev/null 2>&1; then
	check_library ibc ibclient_rdmacm \
		"$DESCRIBED|IN A CALLBACK|NOTES|EXAMPLE|SEE ALSO" \
		libibclient_rdmacm/libibclient_rdmacm.map \
		libibclient_rdmacm/man/*.3.md
fi
check_library softverbs softverbs "$DESCRIBED|EXAMPLE|SEE ALSO" \
	providers/soft/libsoftverbs.map providers/soft/man/*.3.md
for PAGE in $ALL_PAGES; do
	check_names "$PAGE"
done
check_events
check_rendering
if [ -n "$LIBDIR" ]; then
	check_built libibclient.so libibclient/man/*.md
	check_built libsoftverbs.so providers/soft/man/*.md
	check_built libibclient_rdmacm.so libibclient_rdmacm/man/*.md
	check_built libibclient_pd.so libibclient_pd/man/*.md
fi
check_readme

# shellcheck disable=SC2086
set -- $ALL_PAGES
[ $WRONG = 0 ] || { echo "check-man: $WRONG things are wrong"; exit 1; }
echo "check-man: $(wc -w <<< "$FUNCTIONS") functions, $# pages: ok"
