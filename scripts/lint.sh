# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
#
# Checks that need no build.

# The style is that of one release of clang-format; others differ in details.
clang_format=
find_clang_format() {
	for clang_format in clang-format-14 clang-format; do
		"$clang_format" --version 2>/dev/null |
			grep -q 'version 14\.' && return 0
	done
	return 1
}

c_files() {
	project_files | grep -E '\.[ch]$'
}

check_clang_format() {
	if ! find_clang_format; then
		skip format "needs clang-format 14, whose style .clang-format is"
		return 0
	fi
	mkdir -p "$BUILD/log"
	if (cd "$TOP" && c_files |
	    xargs -r -n 50 -P "$(nproc)" "$clang_format" --dry-run -Werror --style=file) \
		>"$BUILD/log/format.log" 2>&1; then
		count 1 0 0
	else
		count 0 1 0
		warn "these are not as \`clang-format -i\` leaves them:"
		sed -n 's/:\([0-9]*\):[0-9]*: error:.*/ \1/p' \
			"$BUILD/log/format.log" |
			uniq | awk '{ a[$1] = a[$1] " " $2 }
				END { for (f in a) print "  " f ": lines" a[f] }' |
			cut -c 1-120 | sort >&2
	fi
}

# Source is what somebody could copy: not prose, licence texts or data.
source_files() {
	project_files | grep -vE '\.(md|txt|json|abi|orig|rej)$|(^|/)\.git|LICENSE|COPYING|^debian/|^redhat/|^tests/fuzz/seeds/'
	project_files | grep -E '(^|/)CMakeLists\.txt$' || true
}

check_spdx() {
	local file bad=0
	while read -r file; do
		warn "$file: no SPDX line in its first five"
		bad=1
	done < <(cd "$TOP" && source_files | xargs -r -d '\n' awk '
		FNR == 1 { if (file && !said) print file; file = FILENAME; said = 0 }
		/SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB/ { said = 1 }
		FNR == 5 { nextfile }
		END { if (file && !said) print file }')
	count $((1 - bad)) $bad 0
}

warn_long_files() {
	local file lines
	while read -r lines file; do
		warn "warning: $file has $lines lines; more than one concept?"
	done < <(cd "$TOP" && source_files | xargs -r -d '\n' wc -l |
		awk '$1 > 500 && $2 != "total"')
}

shell_files() {
	source_files | (cd "$TOP" && xargs -r -d '\n' awk '
		/^#!\/bin\/bash/ || FILENAME ~ /\.(sh|bash)$/ { print FILENAME }
		{ nextfile }')
}

check_shell() {
	if ! command -v shellcheck >/dev/null; then
		skip shellcheck "not installed"
		return 0
	fi
	if (cd "$TOP" && shell_files |
	    xargs -r -n 8 -P "$(nproc)" shellcheck -x -S warning); then
		count 1 0 0
	else
		count 0 1 0
	fi
}
