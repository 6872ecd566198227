#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# check-man.sh [LIBDIR] : are the man pages and the header of one mind?
#
#   - each public function is named by exactly one page of section 3, and is in
#     its SYNOPSIS with the very prototype that the header has
#   - no page names a function, constant or page that there is not
#   - each page of section 3 has all its sections, in order
#   - each EXAMPLE is a program that compiles without a warning; with LIBDIR,
#     where libibclient.so is, it also links and runs
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
HEADER=include/infiniband/ibclient.h
LIB_PAGES=$(echo libibclient/man/*.3.md)
ALL_PAGES="$(echo libibclient/man/*.md) $(echo tools/man/ibc_*.md)"
SECTIONS="NAME|SYNOPSIS|DESCRIPTION|RETURN VALUE|ERRORS|THREAD SAFETY|IN A CALLBACK|EXAMPLE|SEE ALSO"
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

check_functions()
{
	local f n

	for f in $FUNCTIONS; do
		n=$(for p in $LIB_PAGES; do names "$p"; done | grep -cx "$f")
		[ "$n" = 1 ] || wrong "$f: $n pages have it in NAME, not one"
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
	[ "$have" = "$SECTIONS" ] || wrong "$1: sections are $have"
}

check_names()
{
	local page=$1 word

	for word in $(grep -oE '\bibc_[a-z0-9_]+(\*\*)?\(' "$page" |
			tr -d '*(' | sort -u); do
		grep -qx "$word" <<< "$FUNCTIONS" ||
			[ -e "tools/man/$word.1.md" ] ||
			wrong "$page: there is no $word()"
	done
	while read -r word; do
		grep -qw "$word" $HEADER libibclient/man/ibclient.7.md ||
			wrong "$page: there is no $word"
	done < <(grep -oE '\bIBC_[A-Z0-9_]+' "$page" | sort -u)
	for word in $(grep -oE '\*\*(ibc_[a-z_]+|ibclient)\*\*\([0-9]\)' "$page" |
			tr -d '*' | sort -u); do
		grep -qx "$word" <<< "$PAGES" ||
			wrong "$page: there is no page $word"
	done
}

check_example()
{
	local page=$1 base rc
	base=$TMP/$(basename "$page" .md)

	code "$page" EXAMPLE > "$base.c"
	[ -s "$base.c" ] || { wrong "$page: no program in EXAMPLE"; return; }
	# shellcheck disable=SC2086
	$CC $WARN -c -o "$base.o" "$base.c" 2> "$TMP/errors" || {
		wrong "$page: EXAMPLE does not compile:" \
			"$(grep -m1 error "$TMP/errors")"
		return
	}
	[ -n "$LIBDIR" ] || return
	# shellcheck disable=SC2086
	$CC ${CFLAGS:-} -o "$base" "$base.o" -L"$LIBDIR" \
			-Wl,-rpath,"$LIBDIR" -libclient -libverbs || {
		wrong "$page: EXAMPLE does not link"
		return
	}
	timeout 20 "$base" < /dev/null > "$TMP/out" 2>&1
	rc=$?
	[ $rc = 0 ] || wrong "$page: EXAMPLE ends with $rc: $(tail -1 "$TMP/out")"
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

check_readme()
{
	awk '/^```c$/ && !seen { on = seen = 1; next } /^```$/ { on = 0 } on' \
		README.md > "$TMP/readme.c"
	diff <(sed 1d examples/minimal.c) "$TMP/readme.c" > /dev/null ||
		wrong "README.md: its program is not examples/minimal.c"
}

FUNCTIONS=$(without_comments $HEADER | grep -oE '\bibc_[a-z0-9_]+\(' |
	tr -d '(' | sort -u)
[ -n "$FUNCTIONS" ] || wrong "$HEADER: no function found"
PAGES=$(for p in $ALL_PAGES; do
	s=${p%.md}
	s=${s##*.}
	names "$p" | sed "s/\$/($s)/"
done)

check_functions
for PAGE in $LIB_PAGES; do
	check_sections "$PAGE"
	check_synopsis "$PAGE"
	check_example "$PAGE"
done
for PAGE in $ALL_PAGES; do
	check_names "$PAGE"
done
check_rendering
check_readme

# shellcheck disable=SC2086
set -- $ALL_PAGES
[ $WRONG = 0 ] || { echo "check-man: $WRONG things are wrong"; exit 1; }
echo "check-man: $(wc -w <<< "$FUNCTIONS") functions, $# pages: ok"
