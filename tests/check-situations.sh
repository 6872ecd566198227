#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# check-situations.sh : does each row of Documentation/situations.md have its
# test, and does that run?
#
#   - each row of a table names one test at least, as `FILE:FUNCTION` in its
#     last column
#   - the file is in tests/contract/, or where its directory says, and is one
#     that CMake knows
#   - it has that function, and its main() has it in its table
#
# Exit status: 0, or 1 with a line for each thing that is wrong.
set -u
cd "$(dirname "$0")/.." || exit 1
PAGE=Documentation/situations.md
WRONG=0
ROWS=0
TESTS=0

wrong()
{
	echo "check-situations: $*"
	WRONG=$((WRONG + 1))
}

# is_built FILE: by name, or by the name in a foreach() of the directory's CMake
is_built()
{
	local base
	base=$(basename "$1" .c)

	grep -qwE "$base|${base#test_}" "$(dirname "$1")"/*.cmake \
		"$(dirname "$1")/CMakeLists.txt" 2> /dev/null
}

check_test()
{
	local row=$1 file=${2%:*} function=${2#*:}

	case $file in
	*/*) ;;
	*) file=tests/contract/$file ;;
	esac
	TESTS=$((TESTS + 1))
	[ -f "$file" ] || { wrong "$row: there is no $file"; return; }
	is_built "$file" || wrong "$row: $file is not built"
	grep -q "^static void $function(void \*\*state)$" "$file" || {
		wrong "$row: $file has no test $function"
		return
	}
	sed -n '/^int main(/,$p' "$file" | grep -qw "$function" ||
		wrong "$row: $file does not run $function"
}

while IFS= read -r line; do
	row=$(cut -d'|' -f2 <<< "$line" | sed 's/^ *//; s/ *$//')
	case $row in
	situation | ---*) continue ;;
	esac
	ROWS=$((ROWS + 1))
	[ "$(tr -cd '|' <<< "$line" | wc -c)" = 6 ] ||
		wrong "$row: not five columns"
	tests=$(cut -d'|' -f6 <<< "$line" | grep -oE '[a-z_/0-9]+\.c:[a-z0-9_]+')
	[ -n "$tests" ] || wrong "$row: no test"
	for name in $tests; do
		check_test "$row" "$name"
	done
done < <(grep '^|' "$PAGE")

[ "$ROWS" -gt 0 ] || wrong "$PAGE: no rows"
[ $WRONG = 0 ] || { echo "check-situations: $WRONG things are wrong"; exit 1; }
echo "check-situations: $ROWS situations, $TESTS tests: ok"
