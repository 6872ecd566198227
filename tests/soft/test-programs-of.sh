#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# test-programs-of.sh SOFTVERBS SUITE VERSION: test-programs.sh with libibverbs
# and its programs of another Debian release. VERSION, a pattern, is libibverbs'.
# Exit: 77, with a sentence, where they cannot be had.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
status=0
dir=$("$here/fetch-libibverbs" "$2") || status=$?
case $status in
0) ;;
3)
	echo "skipped: libibverbs of Debian's $2 cannot be had here"
	exit 77
	;;
*) exit 1 ;;
esac
if ! compgen -G "$dir/usr/lib/*/libibverbs.so.1.*.$3" >/dev/null; then
	echo "$dir: this is not libibverbs $3" >&2
	exit 1
fi
exec "$here/test-programs.sh" "$1" "$dir"
