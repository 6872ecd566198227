# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
#
# What check, record and check-versions share: which libraries there are, and how
# the ABI of one is written down as text. Documentation/abi.md has the policy.

# Library, directory of its map, package of Debian's that has it
public_libraries() {
	cat <<-END
		libibclient libibclient libibclient1
		libibclient_pd libibclient_pd libibclient-pd1
		libibclient_rdmacm libibclient_rdmacm libibclient-rdmacm1
		libsoftverbs providers/soft libsoftverbs1
	END
}

without_comments() {
	sed -z 's#/\*[^*]*\*\+\([^/*][^*]*\*\+\)*/##g' "$1"
}

# exported LIBRARY.SO: a line "version name" for each symbol of it
exported() {
	nm -D --defined-only --with-symbol-versions "$1" |
		awk '$2 != "A" { n = split($3, part, /@@?/)
			print (n > 1 ? part[2] : "none"), part[1] }' | sort
}

# recorded FILE.ABI: the same of what is recorded
recorded() {
	sed -n "s/^ *<elf-symbol name='\([^']*\)' version='\([^']*\)'.*/\2 \1/p" \
		"$1" | sort
}

# What is not of a public header is nobody's business: it is left out, or, where a
# public type needs it, only named. No options that make a path or a line number.
# abi_of LIBRARY.SO INCLUDE OUTPUT
abi_of() {
	abidw --drop-private-types --headers-dir "$2" --exported-interfaces-only \
		--drop-undefined-syms --no-elf-needed --no-parameter-names \
		--no-show-locs --no-comp-dir-path --no-corpus-path \
		--no-architecture --type-id-style hash --out-file "$3" "$1"
}

# Without debug information abidw writes down names only, and says nothing.
# complete_abi FILE.ABI
complete_abi() {
	local symbols declared
	symbols=$(grep -c "<elf-symbol .* type=.func-type." "$1" || true)
	declared=$(grep -c "<function-decl .* elf-symbol-id=" "$1" || true)
	[ "$symbols" -gt 0 ] && [ "$symbols" = "$declared" ] && return
	echo "$1: $symbols functions, but the types of $declared: was the" \
		"library built with -g, and its sources compiled by this compiler?" >&2
	return 1
}

# The compiler's view of paths, so that none of this machine is in a record, and the
# system's headers are not mistaken for public ones: abidw keeps what is in
# /usr/include.
abi_cflags() {
	echo "-g -ffile-prefix-map=/usr/include=system -ffile-prefix-map=$1/="
}

# Flags are uint32_t in the functions, so a library's debug information has no word
# of most enums: here is a library that has one variable of each.
# enums_of INCLUDE OUTPUT WORK
enums_of() {
	local header name found defined
	find "$1/infiniband" -name '*.h' | sort >"$3/headers"
	while read -r header; do
		without_comments "$header" >"$3/header"
		defined=$(tr '\n' ' ' <"$3/header" |
			grep -oE '\benum\b[^;(){}]*\{' | wc -l)
		found=$(sed -nE '/^enum [a-z_0-9]+ \{/p' "$3/header" | wc -l)
		[ "$defined" = "$found" ] || {
			echo "${header##*/}: an enum that does not begin with" \
				"'enum NAME {' in the first column" >&2
			return 1
		}
		[ "$found" -gt 0 ] || continue
		echo "#include <infiniband/${header##*/}>"
		while read -r name; do
			echo "enum $name abi_$name;"
		done < <(sed -nE 's/^enum ([a-z_0-9]+) \{.*/\1/p' "$3/header")
	done <"$3/headers" >"$3/enums.c"
	# shellcheck disable=SC2046 # some words
	(cd "$3" && "${CC:-cc}" $(abi_cflags "$(pwd -P)") \
		-ffile-prefix-map="$1=include" -I "$1" -shared -fPIC \
		-o enums.so enums.c) || return 1
	abi_of "$3/enums.so" "$1" "$2" || return 1
	[ "$(grep -c '^enum ' "$3/enums.c")" = "$(grep -c '<enum-decl ' "$2")" ] || {
		echo "$2: not all enums of the public headers are in it" >&2
		return 1
	}
}

# Can the ABI be looked at here? Otherwise the reason, for a skip.
why_no_abi() {
	local machine
	for machine in abidw abidiff; do
		command -v "$machine" >/dev/null || {
			echo "$machine is not installed: it is in abigail-tools" \
				"(Debian) or libabigail (Fedora)"
			return 0
		}
	done
	machine=$("${CC:-cc}" -dumpmachine)
	case $machine in
	x86_64-*x32) ;;
	x86_64-*) return 1 ;;
	esac
	echo "what is recorded is the ABI of x86_64, and this is $machine"
}
