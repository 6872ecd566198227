#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# check-header.sh : the public headers, alone and first in a file, as C11 and as
# C++11, pedantically; that for librdmacm where librdmacm's is. The system's headers are not ours to judge: -isystem.
#
# CC, CXX: the compilers. Exit status: 0, or 1 with what they say.
set -u
cd "$(dirname "$0")/.." || exit 1
WARN="-Wall -Wextra -Wpedantic -Werror"
TMP=$(mktemp -d) || exit 1
trap 'rm -rf "$TMP"' EXIT
WRONG=0

# Twice, for the guard; and used, so that an inline or a macro would be seen.
cat > "$TMP/user.c" << 'END'
#include <infiniband/ibclient.h>
#include <infiniband/ibclient.h>

int main(void)
{
	struct ibc_client client = { 0 };
	struct ibc_client_data data = { 0 };
	struct ibc_event event = { 0 };

	(void)client;
	(void)data;
	(void)event;
	return ibc_version() == 0;
}
END
# {0} leaves fields out, and C++ warns of that; {} does not.
sed 's/{ 0 }/{}/' "$TMP/user.c" > "$TMP/user.cc"
sed 's/ibclient\.h/ibclient_pd.h/' "$TMP/user.cc" > "$TMP/pd.cc"
sed 's/ibclient\.h/ibclient_rdmacm.h/' "$TMP/user.c" > "$TMP/rdmacm.c"
sed 's/ibclient\.h/ibclient_rdmacm.h/' "$TMP/user.cc" > "$TMP/rdmacm.cc"

# compile COMPILER STANDARD FILE [OPTION...]
compile()
{
	local cc=$1 std=$2 file=$3
	shift 3

	# shellcheck disable=SC2086
	$cc -std="$std" $WARN "$@" -Iinclude -c -o "$TMP/user.o" \
		"$TMP/$file" 2> "$TMP/errors" && return
	echo "check-header: $cc -std=$std:"
	cat "$TMP/errors"
	WRONG=$((WRONG + 1))
}

for STD in c11 gnu11 gnu17; do
	compile "${CC:-cc}" "$STD" user.c -Wno-missing-field-initializers
done
for STD in c++11 gnu++17; do
	compile "${CXX:-c++}" "$STD" user.cc
done

compile "${CXX:-c++}" c++11 pd.cc
if echo '#include <rdma/rdma_cma.h>' | ${CC:-cc} -E - > /dev/null 2>&1; then
	compile "${CC:-cc}" c11 rdmacm.c -Wno-missing-field-initializers
	compile "${CXX:-c++}" c++11 rdmacm.cc
fi

# One C++ program that calls a function must find the C one.
nm "$TMP/user.o" | grep -q 'U ibc_version$' || {
	echo "check-header: C++ does not see ibc_version() as extern \"C\""
	WRONG=$((WRONG + 1))
}
[ $WRONG = 0 ] || exit 1
echo "check-header: ok"
