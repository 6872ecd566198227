# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
#
# The tests of softverbs are for users without any privilege: run by root, they
# are run as nobody, from copies that nobody can read.

# What of the trees the tests use, for everybody to read; and the directories that
# they start in.
copy_for_nobody() {
	local dir=$1
	chmod 755 "$dir"
	mkdir -p "$dir/build" "$dir/src" "$dir/home" "$dir/ctest"
	cp -R "$BUILD/release/bin" "$BUILD/release/lib" "$dir/build/" &&
		(cd "$BUILD/release" && find tests -name '*.so*' ! -type s -print0 |
			xargs -0 -r cp -P --parents -t "$dir/build" &&
			find tests -name CMakeFiles -prune -o -type d -print0 |
			(cd "$dir/build" && xargs -0 mkdir -p)) &&
		cp -R "$TOP/tests" "$TOP/include" "$TOP/providers" \
			"$dir/src/" &&
		(cd "$TOP" && cp -R --parents libibclient*/man tools/man \
			"$dir/src/") &&
		chmod -R u=rwX,go=rX "$dir" &&
		give_to_nobody "$dir/home" "$dir/ctest"
}

nobody() {
	setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all \
		--bounding-set=-all "$@"
}

# Who may not become nobody runs the tests himself, and keeps them.
give_to_nobody() {
	if nobody true 2>/dev/null; then
		chown -R 65534:65534 "$@"
	fi
}

# What is fetched is fetched before: it stays in the cache of this user. What
# cannot be had, the tests say themselves.
cache_for_nobody() {
	local dir=$1 suite unpacked
	mkdir -p "$dir/cache/libibverbs"
	for suite in bullseye trixie; do
		if unpacked=$("$TOP/tests/soft/fetch-libibverbs" $suite); then
			cp -R "$unpacked" "$dir/cache/libibverbs/"
		fi
	done
	chmod -R u=rwX,go=rX "$dir/cache"
	give_to_nobody "$dir/cache"
}

# run_unprivileged STAGE LABEL WITHOUT: the ctest tests that have one label and
# not the other.
run_unprivileged() {
	local stage=$1 label=$2 without=$3 dir status=0
	dir=$(mktemp -d "${TMPDIR:-/tmp}/libibclient.XXXXXX") || return 1
	copy_for_nobody "$dir" && cache_for_nobody "$dir" || status=1
	(cd "$BUILD/release" && ctest --show-only=json-v1) |
		jq -r -L "$TOP/scripts" --arg with "$label" \
			--arg without "$without" \
			--arg bin "$BUILD/release" --arg new_bin "$dir/build" \
			--arg src "$TOP" --arg new_src "$dir/src" \
			-f "$TOP/scripts/elsewhere.jq" \
			>"$dir/ctest/CTestTestfile.cmake" || status=1
	[ "$status" != 0 ] || run_as_nobody "$stage" "$dir" || status=1
	rm -rf "$dir"
	return "$status"
}

run_as_nobody() {
	local stage=$1 dir=$2 prefix=(env)
	if [ "$(id -u)" = 0 ]; then
		if nobody true 2>/dev/null; then
			prefix=(nobody env)
		else
			warn "$stage: this root may not become nobody;" \
				"the tests run as root"
		fi
	fi
	run_ctest "$stage" "$dir/ctest" "${prefix[@]}" -u XDG_RUNTIME_DIR \
		-u SOFTVERBS_DIR HOME="$dir/home" IBC_CACHE="$dir/cache"
}
