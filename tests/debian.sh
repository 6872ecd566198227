# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# shellcheck disable=SC2154 # $suite and $arch are the caller's
#
# For scripts that get packages of Debian which are not to be installed: of the
# release $suite, for the architecture $arch, from the mirror that this machine
# uses. apt keeps what it has to know in the cache, too, so no root is needed, and
# checks the signatures with this system's Debian keys, and no others.
#
# Exit of such a script: 0; 3 they are not to be had here; 1 anything else.

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
cache=${IBC_CACHE:-${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/libibclient}

fail() {
	echo "${0##*/}: $1" >&2
	exit "${2:-1}"
}

need_apt() {
	command -v apt-get dpkg-deb >/dev/null ||
		fail "no apt here, and Debian's packages come through apt" 3
}

# Every address that apt has been told, one a line: the option fields of both
# formats are skipped, comments and entries that are switched off, too.
configured_uris() {
	local etc=/etc/apt

	find -L $etc/sources.list $etc/sources.list.d -maxdepth 1 -type f \
		-name '*.list' -exec cat {} + 2>/dev/null |
		sed -nE 's/^[[:space:]]*deb[[:space:]]+(\[[^]]*\][[:space:]]+)?([^[:space:]]+).*/\2/p'
	find -L $etc/sources.list.d -maxdepth 1 -type f -name '*.sources' \
		-exec awk '
		function flush(  i, n, word)
		{
			n = off ? 0 : split(uris, word)
			for (i = 1; i <= n; i++)
				print word[i]
			uris = ""; off = 0; field = ""
		}
		FNR == 1 { flush() }
		/^#/ { next }
		/^[[:space:]]*$/ { flush(); next }
		/^[^[:space:]]/ {
			field = tolower($0); sub(/:.*/, "", field)
			rest = $0; sub(/^[^:]*:/, "", rest)
			if (field == "enabled" && rest ~ /no/) off = 1
		}
		/^[[:space:]]/ { rest = $0 }
		field == "uris" { uris = uris " " rest }
		END { flush() }' {} + 2>/dev/null
}

# A mirror of the distribution itself; what it is called is its owner's affair,
# but its path ends in "debian", or it is a list of such.
debian_mirror() {
	configured_uris | sed 's,/*$,,' | grep -E '/debian(\.list)?$' | head -n 1
}

# private_apt TOOL ARG…: apt that knows this release only
private_apt() {
	local tool=$1
	shift
	"$tool" -q -q -o "Dir::Etc::sourcelist=$state/sources.list" \
		-o Dir::Etc::sourceparts=/dev/null \
		-o Dir::Etc::preferencesparts=/dev/null \
		-o Dir::Etc::preferences=/dev/null \
		-o "Dir::State=$state/var" -o "Dir::State::status=$state/status" \
		-o "Dir::Cache=$state/cache" -o "APT::Architecture=$arch" \
		-o "APT::Architectures::=$arch" \
		-o "APT::Sandbox::User=$(id -un)" \
		-o APT::Default-Release= \
		-o APT::Get::AllowUnauthenticated=false \
		-o Acquire::AllowInsecureRepositories=false \
		-o Acquire::AllowWeakRepositories=false \
		-o Acquire::Retries=3 -o Acquire::Languages=none "$@" </dev/null
}

# A mirror that does not have the release has no Release file of it: that is no
# failure.
update_lists() {
	local mirror log

	mirror=$(debian_mirror) || fail "apt has no Debian mirror here" 3
	mkdir -p "$state/var/lists/partial" "$state/cache/archives/partial"
	: >"$state/status"
	echo "deb [arch=$arch signed-by=$keyring] $mirror $suite main" \
		>"$state/sources.list"
	if log=$(LC_ALL=C private_apt apt-get update 2>&1); then
		return 0
	fi
	if grep -q 'does not have a Release file' <<<"$log"; then
		fail "the Debian mirror of this machine has no $suite" 3
	fi
	echo "$log" >&2
	fail "could not read the package lists of $suite"
}

# unpack PACKAGE… into $work/root
unpack() {
	local deb

	mkdir -p "$work/deb"
	(cd "$work/deb" && private_apt apt-get download "$@" >&2) ||
		fail "could not get $* of $suite"
	for deb in "$work"/deb/*.deb; do
		dpkg-deb -x "$deb" "$work/root"
	done
}

# cached KIND NAME: prints the directory of that kind and name in the cache. If it
# is not there yet prepare(), the caller's, fills $work/root, which becomes it.
cached() {
	local kind=$cache/$1 dir=$cache/$1/$2

	if ! [ -d "$dir" ]; then
		[ -r "$keyring" ] ||
			fail "no keys of Debian here (debian-archive-keyring)" 3
		mkdir -p "$kind" 2>/dev/null || :
		[ -w "$kind" ] ||
			fail "cannot write the cache $cache: set IBC_CACHE" 3
		exec 9>"$kind/lock"
		flock 9
	fi
	if ! [ -d "$dir" ]; then # still
		rm -rf "$kind"/work.* # of one that was killed
		work=$(mktemp -d "$kind/work.XXXXXX")
		trap 'rm -rf "$work"' EXIT
		state=$work/apt
		prepare
		mv "$work/root" "$dir"
	fi
	echo "$dir"
}
