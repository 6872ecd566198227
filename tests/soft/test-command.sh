#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# test-command.sh SOFTVERBS: the words of the softverbs command, right and wrong
# use, exit statuses and messages.
set -uo pipefail

softverbs=$1
SOFTVERBS_DIR=$(mktemp -d)
export SOFTVERBS_DIR
trap 'rm -rf "$SOFTVERBS_DIR"' EXIT
failed=0
# A sanitizer's runtime would have to come before the interposer.
unset LD_PRELOAD

# expect STATUS PATTERN WORD…: what the command prints must match
expect() {
	local status=$1 pattern=$2 out got
	shift 2
	out=$("$softverbs" "$@" 2>&1)
	got=$?
	if [ $got != "$status" ] || ! grep -q -e "$pattern" <<<"$out"; then
		echo "softverbs $*: status $got, not $status, or not '$pattern': $out"
		failed=$((failed + 1))
	fi
}

expect 0 'Usage: softverbs' --help
expect 0 '^softverbs [0-9]' --version
expect 2 'none given'
expect 2 'no such command' frobnicate
expect 0 'Usage: softverbs add' add --help

expect 0 '' add a0
expect 0 '' add b0 --guid 1234:5678:9abc:def0 --ports 2 --link ib \
	--removal fatal
expect 1 'the name is taken' add a0
expect 2 'wrong arguments' add
expect 2 'not a name' add ../a
expect 2 'not a GUID' add c0 --guid xyz
expect 2 'not a GUID' add c0 --guid 0
expect 2 'at least one' add c0 --ports 0
expect 2 'too large' add c0 --ports 256
expect 2 'roce or ib' add c0 --link token-ring
expect 2 'fatal or wait' add c0 --removal never

expect 0 '"guid":"1234:5678:9abc:def0"' list -j
expect 0 '"removal":"fatal"' list -j
expect 0 'a0' list
expect 2 'wrong arguments' list a0

expect 0 '' rename a0 c0
expect 1 'no such device' rename a0 d0
expect 1 'the name is taken' rename c0 b0
expect 2 'not a name' rename c0 'd 0'

expect 0 '' port b0 2 down
expect 0 '"port":2,"state":"down"' list -j
expect 1 'no such port' port b0 3 up
expect 1 'no such device' port zz 1 up
expect 2 'up or down' port b0 1 sideways
expect 2 'not a number' port b0 one up

expect 0 '' gid b0 1 3 fe80::77
expect 0 'fe80::77' list -j
expect 0 '' gid b0 1 3 none
expect 2 'not a GID' gid b0 1 3 elsewhere
expect 2 'too large' gid b0 1 16 fe80::1
expect 0 '' pkey b0 1 1 0x8001
expect 2 'too large' pkey b0 1 1 0x10000
expect 1 'no such port' pkey b0 9 1 1

expect 0 '' event b0 PORT_ERR --port 2
expect 0 '' event b0 DEVICE_FATAL
expect 1 'no such port' event b0 PORT_ERR --port 7
expect 2 'unknown type' event b0 PORT_MELTED
expect 2 'not its element' event b0 QP_FATAL
expect 2 'not its element' event b0 QP_FATAL --cq 1
expect 1 'no open context' event b0 QP_FATAL --qp 17
expect 1 'no such device' event zz PORT_ERR

expect 0 '' fault b0 open=EACCES:1 alloc_pd=ENOMEM reg_mr=delay:50
expect 0 '' fault b0 none
expect 2 'unknown verb' fault b0 alloc_moon=ENOMEM
expect 2 'unknown verb or errno' fault b0 alloc_pd=EMOON
expect 2 'unknown verb' fault b0 alloc_pd=ENOMEM:0
expect 1 'no such device' fault zz none

expect 0 '' remove b0
expect 1 'no such device' remove b0
expect 2 'not a number' remove c0 --timeout soon
expect 0 '' remove c0 --timeout 1000
expect 0 '^$' list -j

expect 2 'no command given' run
expect 2 'wrong option' run --removal never -- true
expect 0 '' run -- true
expect 7 '' run -n 2 -- sh -c 'exit 7'
expect 127 'No such file' run -- /nonexistent
expect 0 "export SOFTVERBS_DIR=" env

chmod 755 "$SOFTVERBS_DIR"
expect 1 'not a directory of this user' list
chmod 700 "$SOFTVERBS_DIR"

[ $failed = 0 ] && echo "softverbs: the words: ok"
exit $((failed > 0))
