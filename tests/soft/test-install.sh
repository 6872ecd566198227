#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck disable=SC2016 # words for the shell that is run
#
# test-install.sh BUILD BINDIR: softverbs finds its interposer in a build tree,
# where it was installed, and wherever that was moved to. BINDIR is where the
# command is below a prefix.
set -uo pipefail

build=$(readlink -f "$1") || exit 1
bindir=$2
command=$build/bin/softverbs
# shellcheck source=tests/soft/command-lib.sh
. "$(dirname "$0")/command-lib.sh"
unset LD_LIBRARY_PATH

# works DIR: the command below it does, with the interposer below it
works() {
	local preload
	command=$1/softverbs
	prints "^export LD_PRELOAD='" env
	preload=$(sed -n "s/^export LD_PRELOAD='\(.*\)'$/\1/p" <<<"$out")
	[[ $preload == "$2"/*softverbs/libsoftverbs-preload.so ]] ||
		complain "$command: the interposer is $preload"
	# rdma_cm's before it, where it was built
	if [ -e "$build/lib/softverbs/libsoftverbs-rdmacm.so" ]; then
		[[ $preload == "$2"/*softverbs/libsoftverbs-rdmacm.so:* ]] ||
			complain "$command: without rdma_cm: $preload"
	fi
	call 0 run -n 2 -- sh -c 'echo "$LD_PRELOAD"'
	[ "$out" = "$preload" ] || complain "$command run: $out"
	# by another way to it
	ln -sfn "$1" "$temp/link" || exit 1
	command=$temp/link/softverbs
	prints "^export LD_PRELOAD='$preload'$" env
	command=softverbs
	PATH=$1:$PATH prints "^export LD_PRELOAD='$preload'$" env
}

install_to() {
	"$@" cmake --install "$build" "${prefix[@]}" >"$temp/log" 2>&1 ||
		complain "cmake --install: $(tail -n 5 "$temp/log")"
}

works "$build/bin" "$build"

prefix=(--prefix "$temp/prefix")
install_to env -u DESTDIR
works "$temp/prefix/$bindir" "$temp/prefix"
mv "$temp/prefix" "$temp/moved" || exit 1
works "$temp/moved/$bindir" "$temp/moved"

prefix=(--prefix /opt/softverbs)
install_to env DESTDIR="$temp/dest"
works "$temp/dest/opt/softverbs/$bindir" "$temp/dest"

# rdma_cm alone is missed by nobody
command=$temp/moved/$bindir/softverbs
find "$temp/moved" -name libsoftverbs-rdmacm.so -delete
call 0 run -- sh -c 'echo "$LD_PRELOAD"'
[[ $out == *softverbs/libsoftverbs-preload.so && $out != *rdmacm* ]] ||
	complain "without rdma_cm: $out"

# not there, and where LD_PRELOAD could not say it
command=$temp/moved/$bindir/softverbs
find "$temp/moved" -name libsoftverbs-preload.so -delete
# another one may be installed in this system, and would be found
if ! "$command" env >/dev/null 2>&1; then
	fails 'libsoftverbs-preload.so: the interposer is not there' env
	fails 'libsoftverbs-preload.so: the interposer is not there' run true
fi
for name in 'a b' a:b $'a\tb' $'a\nb'; do
	mv "$temp/dest" "$temp/$name" || exit 1
	command=$temp/$name/opt/softverbs/$bindir/softverbs
	fails 'LD_PRELOAD cannot say a path with blanks or colons' env
	fails 'LD_PRELOAD cannot say a path with blanks or colons' run true
	right list
	mv "$temp/$name" "$temp/dest" || exit 1
done

finish "softverbs, installed"
