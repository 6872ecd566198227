# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
#
# For the checks of the manual, which run at the top of the source tree. Each says a
# line for each thing that is wrong.
# shellcheck disable=SC2034 # the variables are the caller's

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
CC=${CC:-cc}
INCLUDE="-Iinclude ${CFLAGS:-}"
TMP=$(mktemp -d) || exit 1
trap 'rm -rf -- "${TMP:?}"' EXIT
WRONG=0

PAGES=(libibclient/man/*.md libibclient_pd/man/*.md libibclient_rdmacm/man/*.md
	providers/soft/man/*.md tools/man/*.md)
HEADERS=(include/infiniband/*.h)

wrong()
{
	echo "${0##*/}: $*"
	WRONG=$((WRONG + 1))
}

# finish WHAT: exit status 0 if nothing is wrong
finish()
{
	[ $WRONG = 0 ] || { echo "${0##*/}: $WRONG things are wrong"; exit 1; }
	echo "${0##*/}: $1: ok"
	exit 0
}

# NAMES_OF[page]: the names in its NAME section; PAGES_OF[name(section)]: the pages
# that have it there.
declare -A NAMES_OF PAGES_OF
index_pages()
{
	local page name s

	while read -r page s name; do
		NAMES_OF[$page]+=" $name"
		PAGES_OF["$name($s)"]+=" $page"
	done < <(awk 'FNR == 1 { on = 0 } /^# / { on = /^# NAME$/ }
		on && / - / {
			n = split(FILENAME, part, ".")
			sub(/ - .*/, "")
			names = split($0, name, /, */)
			for (i = 1; i <= names; i++)
				print FILENAME, part[n - 1], name[i]
		}' "${PAGES[@]}")
}
index_pages

# section PAGE NAME: its text
section()
{
	awk -v want="# $2" '/^```/ { code = !code }
		!code && /^# / { on = $0 == want; next } on' "$1"
}

# The C code of a section of a page.
code()
{
	section "$1" "$2" | awk '/^```c$/ { c = 1; next } /^```$/ { c = 0 } c'
}

without_comments()
{
	sed -z 's#/\*[^*]*\*\+\([^/*][^*]*\*\+\)*/##g' "$1"
}

# HEADER_OF[function]: each public one's
declare -A HEADER_OF
index_headers()
{
	local header f

	for header in "${HEADERS[@]}"; do
		while read -r f; do
			HEADER_OF[$f]=$header
		done < <(without_comments "$header" |
			grep -oE '\b(ibc|softverbs)_[a-z0-9_]+\(' | tr -d '(')
	done
}
index_headers

# is librdmacm's header there?
have_rdmacm()
{
	# shellcheck disable=SC2086
	echo '#include <rdma/rdma_cma.h>' | $CC $INCLUDE -E - >/dev/null 2>&1
}
