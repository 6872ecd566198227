#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# test-command.sh SOFTVERBS: the words of the softverbs command that need no
# program on the fabric, right and wrong use: add, remove, rename, list, port,
# gid, pkey, and what all have in common.
set -uo pipefail

command=$1
# shellcheck source=tests/soft/command-lib.sh
. "$(dirname "$0")/command-lib.sh"

words="run env add remove rename list port gid pkey event fault"
long=$(printf 'n%.0s' {1..63})

# ---- all of them ----

prints '^Usage: softverbs ' --help
prints '^Usage: softverbs ' -h
prints '^softverbs [0-9]*\.[0-9]*\.[0-9]*$' --version
call 0 --help
for word in $words; do
	grep -q "^  $word " <<<"$out" || complain "--help does not have $word"
done
for word in $words; do
	prints "^Usage: softverbs $word" "$word" --help
	prints '^softverbs [0-9]' "$word" --version
	prints "^Usage: softverbs $word" "$word" --dir "$temp/none" --help
	wrong '--bogus: no such option' "$word" --bogus
	wrong '-Z: no such option' "$word" -Z
	wrong '--help=x: it takes no value' "$word" --help=x
	wrong '--dir: a value is missing' "$word" --dir
	wrong '--dir: it is empty' "$word" --dir ''
done
[ ! -e "$temp/none" ] || complain "--help made a fabric"
wrong 'COMMAND: none is given'
wrong 'frobnicate: no such command' frobnicate
wrong "'': no such command" ''
wrong '--bogus: no such option' --bogus add a0
wrong 'no such option' -n 2
call 0 add full0
for word in list env --help --version; do
	"$command" "$word" >/dev/full 2>"$temp/err"
	[ $? = 1 ] || complain "$word >/dev/full: not 1"
	grep -q '^softverbs: standard output: it could not be written' \
		"$temp/err" ||
		complain "$word >/dev/full: $(cat "$temp/err")"
done
right remove full0

# ---- add ----

right add a0
right add b0 --guid 1234:5678:9abc:def0 --ports 2 --link ib --removal fatal
right add --ports=0x3 --removal wait --link roce --guid 0x77 c.0_-x
right add -- d0
right add e0 --ports 1 --ports 4
right add "$long"
fails 'a0: the name is taken; ' add a0
wrong 'add: arguments are missing' add
wrong 'y0: one argument too many' add x0 y0
wrong 'no such option' add -x0
for name in '' ../a a/b .a -- 'a b' ä "${long}n" $'a\nb' $'a\033[2J'; do
	[ "$name" != -- ] || continue
	wrong 'not a name for a device' add "$name"
done
wrong 'not a name for a device' add -- -a
wrong 'a?\[2J: not a name' add $'a\033[2J'
for guid in xyz 0 '' 1:2:3 12345678901234567 -1 0x; do
	wrong '--guid: not a GUID' add x0 --guid "$guid"
done
for ports in '' x -1 1x ' 1' 0x 1.0; do
	wrong '--ports: not a whole number' add x0 --ports "$ports"
done
for ports in 0 256 99999999999 99999999999999999999999; do
	wrong '--ports: a number from 1 to 255 is wanted' add x0 --ports "$ports"
done
wrong '--link: roce or ib is wanted' add x0 --link token-ring
wrong '--link: roce or ib is wanted' add x0 --link ''
wrong '--removal: fatal or wait is wanted' add x0 --removal never
for option in guid ports link removal; do
	wrong "--$option: a value is missing" add x0 --$option
done
right add p255 --ports 255
for guid in 0x1f 1f 000000000000001f 0x000000000000001f 0:0:0:1f \
	0000:0000:0000:001F; do
	right add g0 --guid "$guid"
	prints '^g0	0000:0000:0000:001f	' list
	right remove g0
done
right add g0 --guid ffff:ffff:ffff:ffff --ports 010
prints '"ports":\[{"port":1,' list -j
json 'map(select(.device == "g0"))[0].ports | length == 8'
right remove g0

# ---- list ----

prints '"device":"a0"' list -j
json 'length == 7'
json 'all((keys - ["device","guid","removal","ports","contexts"]) -
	["index","node","link"] == [])'
json 'all(has("device", "guid", "removal", "ports", "contexts"))'
json 'all(.[].ports[]; keys == ["gids", "port", "state"])'
json 'map(select(.device == "b0"))[0] | .guid == "1234:5678:9abc:def0" and
	.removal == "fatal" and (.ports | map(.port)) == [1, 2] and
	.contexts == []'
json 'map(select(.device == "a0"))[0] | .removal == "wait" and
	(.ports | length) == 1 and .ports[0].state == "active" and
	(.ports[0].gids | length) == 1'
json 'map(select(.device == "c.0_-x"))[0] | (.ports | length) == 3 and
	.guid == "0000:0000:0000:0077"'
json 'map(select(.device == "e0"))[0] | (.ports | length) == 4'
json 'map(select(.device == "p255"))[0] | (.ports | length) == 255'
[ "$(wc -l <<<"$out")" = 7 ] || complain "list -j: not a line a device"
prints '^a0	' list
prints '^b0	1234:5678:9abc:def0	.*, ib, removal fatal' list
prints '"device":"a0"' list --json
prints '"device":"a0"' list -j -j
wrong 'a0: one argument too many' list a0
wrong '--json=1: it takes no value' list --json=1

# ---- rename ----

right rename a0 a1
right rename -- a1 a2
prints '^a2	' list
fails 'a0: no such device; ' rename a0 d1
fails 'b0: the name is taken; ' rename a2 b0
fails 'a2: the name is taken; ' rename a2 a2
wrong 'not a name' rename a2 'd 0'
wrong 'not a name' rename a2 "${long}n"
wrong 'not a name' rename a2 ''
wrong 'rename: arguments are missing' rename
wrong 'rename: arguments are missing' rename a2
wrong 'c: one argument too many' rename a b c
wrong 'no such option' rename -a2 b1

# ---- port, gid, pkey ----

right port b0 2 down
prints . list -j
json 'map(select(.device == "b0"))[0].ports | map(.state) ==
	["active", "down"]'
right port b0 2 down
right port b0 0x2 up
fails 'b0: no such port' port b0 3 up
fails 'b0: no such port' port b0 0 up
fails 'zz: no such device' port zz 1 up
wrong 'sideways: up or down is wanted' port b0 1 sideways
wrong 'UP: up or down' port b0 1 UP
wrong "'': up or down" port b0 1 ''
wrong 'PORT: not a whole number' port b0 one up
wrong 'PORT: not a whole number' port b0 '' up
wrong 'PORT: not a whole number' port -- b0 -1 up
wrong '-1: no such option' port b0 -1 up
wrong 'PORT: a number from 0 to 4294967295' port b0 99999999999 up
wrong 'port: arguments are missing' port b0 1
wrong 'x: one argument too many' port b0 1 up x

right gid b0 1 3 fe80::77
prints . list -j
json 'map(select(.device == "b0"))[0].ports[0].gids | length == 2 and
	.[1] == "fe80::77"'
right gid b0 1 3 none
right gid b0 1 0xf ::ffff:192.0.2.1
fails 'b0: no such port' gid b0 9 0 fe80::1
fails 'zz: no such device' gid zz 1 0 fe80::1
wrong 'elsewhere: not a GID' gid b0 1 3 elsewhere
wrong "'': not a GID" gid b0 1 3 ''
wrong 'INDEX: a number from 0 to 15' gid b0 1 16 fe80::1
wrong 'INDEX: not a whole number' gid b0 1 x fe80::1
wrong 'PORT: not a whole number' gid b0 x 1 fe80::1
wrong 'gid: arguments are missing' gid b0 1 3
wrong 'x: one argument too many' gid b0 1 3 none x

right pkey b0 1 1 0x8001
right pkey b0 2 15 0
fails 'b0: no such port' pkey b0 9 1 1
fails 'zz: no such device' pkey zz 1 1 1
wrong 'PKEY: a number from 0 to 65535' pkey b0 1 1 0x10000
wrong 'PKEY: not a whole number' pkey b0 1 1 abc
wrong 'INDEX: a number from 0 to 15' pkey b0 1 16 1
wrong 'PORT: not a whole number' pkey b0 '' 0 1
wrong 'pkey: arguments are missing' pkey b0 1 1
wrong 'x: one argument too many' pkey b0 1 1 1 x

# ---- remove ----

right remove b0
fails 'b0: no such device' remove b0
fails 'no such device' remove ../a2
fails "'': no such device" remove ''
for time in soon '' -1 1s; do
	wrong '--timeout: not a whole number' remove a2 --timeout "$time"
done
wrong '--timeout: a number from 0 to 2147483647' remove a2 --timeout 2147483648
wrong '--timeout: a value is missing' remove a2 --timeout
wrong 'remove: arguments are missing' remove
wrong 'c.0_-x: one argument too many' remove a2 c.0_-x
right remove --timeout 0 a2
right remove --timeout=1000 c.0_-x
for name in d0 e0 p255 "$long"; do
	right remove "$name"
done
right list -j
right list

# ---- --dir, and directories that will not do ----

right --dir "$temp/two" add a0
right add b0 --dir="$temp/two"
right --dir "$temp/none" --dir "$temp/two" add c0 --dir "$temp/two"
prints '^c0	' list --dir "$temp/two"
right list
[ "$(stat -c %a "$temp/two")" = 700 ] || complain "the fabric's mode is not 0700"
fails 'not/there: there is no directory to make it in' list --dir "$temp/not/there"
touch "$temp/file"
fails 'file: it is no directory' list --dir "$temp/file"
ln -s "$temp/two" "$temp/link"
fails 'link: it is no directory (a symbolic link' list --dir "$temp/link"
fails 'the path is too long for a verbs device' list --dir "$temp/$(printf 'n%.0s' {1..300})"
fails 'the path is too long for a verbs device' list --dir "$temp/$(printf 'n/%.0s' {1..3000})"
chmod 755 "$temp/two"
fails "two: it is not a directory of this user's alone" list --dir "$temp/two"
chmod 700 "$temp/two"
if [ "$(id -u)" = 0 ]; then
	chown 12345 "$temp/two"
	fails "not a directory of this user's alone" list --dir "$temp/two"
fi

finish "softverbs: the words"
