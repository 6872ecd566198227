#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck disable=SC2154,SC2317 # set by printf -v, called by wait_for
#
# test-tools.sh SOFTVERBS IBC_DEVICES IBC_MONITOR: what ibc_devices and
# ibc_monitor print of softverbs devices, and how they end.
set -uo pipefail

softverbs=$(readlink -f "$1") || exit 1
devices=$(readlink -f "$2") || exit 1
monitor=$(readlink -f "$3") || exit 1
# shellcheck source=tests/soft/command-lib.sh
. "$(dirname "$0")/command-lib.sh"
unset IBC_LOG_LEVEL IBC_LOG_FILE

# the commands of the library under the interposer, for call() and the like
cat >"$temp/on-fabric" <<'END' || exit 1
words=$("$SOFTVERBS" env) || exit 1
eval "$words"
exec "$@"
END
export SOFTVERBS=$softverbs
for tool in "$devices" "$monitor"; do
	printf '#!/bin/sh\nset -- "%s" "$@"\n. "%s"\n' "$tool" \
		"$temp/on-fabric" >"$temp/${tool##*/}" || exit 1
	chmod 755 "$temp/${tool##*/}"
done
# use COMMAND: which one is tested by what follows
use() {
	case $1 in
	softverbs) command=$softverbs ;;
	*) command=$temp/$1 ;;
	esac
}

# soft WORD…: a softverbs command that must say nothing
soft() {
	local now=$command
	command=$softverbs
	right "$@"
	command=$now
}

# ---- both: options ----

for tool in ibc_devices ibc_monitor; do
	use $tool
	for option in --help -h --hel; do
		prints "^usage: $tool " $option
		prints '^Exit status: 0, 1 ' $option
	done
	prints "^$tool (libibclient) [0-9]*\.[0-9]*\.[0-9]*$" --version
	prints "^usage: $tool " -j --help --bogus
	wrong '--bogus: no such option' --bogus
	wrong '-Z: no such option' -Z
	wrong '-Z: no such option' -jZ
	wrong '-Z: no such option' a0 -Z
	wrong '--help=x: it takes no value' --help=x
	wrong '--json=x: it takes no value' --json=x
	wrong 'NAME: it is empty' ''
	wrong 'NAME: it is empty' -- a0 ''
	wrong '--?\[2J: no such option' $'--\033[2J'
	for option in --help --version; do
		"$command" $option >/dev/full 2>"$temp/err"
		[ $? = 1 ] || complain "$tool $option >/dev/full: not 1"
		grep -q "^$tool: standard output: it could" "$temp/err" ||
			complain "$tool $option: $(cat "$temp/err")"
	done
done
use ibc_devices
wrong '--verbose=x: it takes no value' --verbose=x
wrong '-t: no such option' -t 1
use ibc_monitor
wrong '-v: no such option' -v
for option in -t --time --hold --exit-on; do
	wrong 'a value is missing' $option
done
for time in '' x -1 1x 1e99 99999999999999999999 nan inf '1 '; do
	wrong '-t: not a time' -t "$time"
	wrong '-t: not a time' --time "$time"
	wrong '--hold: not a time' --hold "$time"
done
for event in '' ADD removed PORT_MELTED port_err IBV_EVENT_PORT_ERR 'add '; do
	wrong '--exit-on: no such event' --exit-on "$event"
done
wrong 'no such event: ?\[2J' --exit-on $'\033[2J'

# ---- ibc_devices ----

use ibc_devices
for option in '' -j -v -jv; do
	# shellcheck disable=SC2086 # may be none
	call 0 $option
	[ -z "$out" ] || complain "ibc_devices of no devices: $out"
	grep -q '^ibc_devices: no devices: .' <<<"$err" ||
		complain "ibc_devices of no devices: $err"
done
call 1 a0
grep -q '^ibc_devices: a0: no such device$' <<<"$err" ||
	complain "ibc_devices a0: $err"

soft add a0 --guid 2:3:4:5
soft add b0 --ports 2 --link ib --removal fatal
soft add b1
soft port b0 2 down

# names FILTER: those of the last call
names() {
	[ "$(jq -r .name <<<"$out" | sort | xargs)" = "$1" ] ||
		complain "not '$1': $out"
}

prints . -j
names 'a0 b0 b1'
json 'all(keys == ["adopted", "clients", "guid", "incarnation", "index",
	"name", "state"])'
json 'sort_by(.name) | .[0] | .guid == "0002:0003:0004:0005" and
	.index == 0 and .state == "live" and .adopted == false and
	(.clients | length) == 1'
json 'sort_by(.name) | map(.index) == [0, 1, 2] and
	(map(.incarnation) | unique | length) == 3'
[ "$(wc -l <<<"$out")" = 3 ] || complain "ibc_devices -j: not a line a device"
prints . --json --verbose
json 'all(.node == "uverbs\(.index)" and (.firmware | type) == "string")'
json 'all(.[].ports[]; keys == ["gids", "lid", "link_layer", "mtu", "port",
	"state"])'
json 'sort_by(.name) | map(.ports | map([.port, .state, .link_layer])) ==
	[[[1, "active", "Ethernet"]],
	 [[1, "active", "InfiniBand"], [2, "down", "InfiniBand"]],
	 [[1, "active", "Ethernet"]]]'
json 'all(.[].ports[]; .gids == 1)'

prints '^DEVICE  INDEX  NODE GUID            STATE     PORTS$'
prints '^a0  *0  0002:0003:0004:0005  live  *1:active$'
prints '^b0  *1  [0-9a-f:]\{19\}  live  *1:active 2:down$'
[ "$(wc -l <<<"$out")" = 4 ] || complain "ibc_devices: $out"
prints '^    node /dev/infiniband/uverbs1, incarnation [0-9]*$' -v
prints '^    port 2: down, InfiniBand, MTU .*, LID [0-9]*, 1 GID$' -v b0
[ "$(grep -c '^    port' <<<"$out")" = 2 ] || complain "ibc_devices -v b0: $out"

prints . -j 'b?'
names 'b0 b1'
prints . -j b1 a0 b1
names 'a0 b1'
prints . -j -- '*'
names 'a0 b0 b1'
fails '^ibc_devices: zz: no such device$' zz
fails '^ibc_devices: z\*: no such device$' -j 'z*'
fails '^ibc_devices: a?b: no such device$' $'a\nb'
call 1 -j zz a0 yy
names a0
[ "$err" = $'ibc_devices: zz: no such device\nibc_devices: yy: no such device' ] ||
	complain "ibc_devices zz a0 yy: $err"
soft fault a0 open=EBUSY
call 1 -j
names 'b0 b1'
grep -q '^ibc_devices: a0: cannot open .*: Device or resource busy$' \
	<<<"$err" || complain "a0 does not open: $err"
soft fault a0 none
"$command" -j >/dev/full 2>"$temp/err"
[ $? = 1 ] || complain "ibc_devices >/dev/full: not 1"
soft remove a0 --timeout 0
soft remove b0
soft remove b1

# ---- ibc_monitor ----

# start ID WORD…: with its output in temp/ID.out
start() {
	local id=$1
	shift
	: >"$temp/$id.out" # here: it may have the lines of another of that ID
	: >"$temp/$id.err"
	"${before[@]}" "$temp/ibc_monitor" "$@" >"$temp/$id.out" \
		2>"$temp/$id.err" </dev/null &
	pids+=($!)
	printf -v "pid_$id" %s $!
}
before=()

# seen ID N FILTER: N of its lines are so
seen() {
	[ "$(jq -s "map(select($3)) | length" "$temp/$1.out" 2>/dev/null)" = "$2" ]
}

# is ID FILTER: true for all lines, as an array
is() {
	jq -es "$2" "$temp/$1.out" >/dev/null ||
		complain "jq '$2' is not true of $1: $(tail -n 5 "$temp/$1.out")"
}

# ended_with ID STATUS [PATTERN]: with nothing on standard error, or only that
ended_with() {
	local pid=pid_$1 got i
	await_end "${!pid}"
	got=$?
	for i in "${!pids[@]}"; do
		[ "${pids[i]}" != "${!pid}" ] || unset "pids[i]"
	done
	[ $got = "$2" ] ||
		complain "monitor $1: $got, not $2: $(cat "$temp/$1.err")"
	grep -v '^ibc_monitor: no devices: ' "$temp/$1.err" >"$temp/said"
	grep -qx -e "${3:-}" <(tr -d '\n' <"$temp/said"; echo) ||
		complain "monitor $1 said: $(cat "$temp/$1.err")"
}

# stop ID [SIGNAL]
stop() {
	local pid=pid_$1
	kill "-${2:-TERM}" "${!pid}"
	ended_with "$1" 0
}

# The whole life of a device of each style, seen by two at once.
use softverbs
soft add a0 --ports 2 --guid 1:2:3:4
start one -j
start two -j a0 'b*'
start other -j 'c*'
for id in one two; do
	wait_for seen $id 1 '.event == "add"'
done
soft event a0 PORT_ERR --port 2
for id in one two; do
	wait_for seen $id 1 '.type == "PORT_ERR"'
done
soft event a0 SM_CHANGE --count 5
soft event a0 PKEY_CHANGE --pid "$pid_one"
soft rename a0 a1
for id in one two; do # or both might be told as one
	wait_for seen $id 1 '.event == "rename"'
done
soft rename a1 d0
soft remove d0 # waits for both
soft add b0 --removal fatal
for id in one two; do
	wait_for seen $id 1 '.event == "gone"'
	wait_for seen $id 1 '.event == "add" and .device == "b0"'
done
soft port b0 1 down
soft port b0 1 up
for id in one two; do
	wait_for seen $id 1 '.type == "PORT_ACTIVE"'
done
soft remove b0 --timeout 0
soft add b0
for id in one two; do
	wait_for seen $id 2 '.event == "gone"'
	wait_for seen $id 2 '.event == "add" and .device == "b0"'
done
soft event b0 DEVICE_FATAL
for id in one two; do
	wait_for seen $id 3 '.event == "add" and .device == "b0"'
done
stop one
stop two INT
stop other

keys='"device", "event", "guid", "incarnation", "index"'
is one "all(if .event == \"async\" and .port then
		keys == [\"count\", $keys, \"port\", \"replayed\", \"time\", \"type\"]
	elif .event == \"async\" then
		keys == [\"count\", $keys, \"replayed\", \"time\", \"type\"]
	elif .event == \"rename\" then keys == [$keys, \"old\", \"time\"]
	else keys == [$keys, \"time\"] end)"
is one 'all(.event != "async" or (.port | type) ==
	(if .type == "DEVICE_FATAL" then "null" else "number" end))'
is one 'map(.time) | sort == . and .[0] > 1500000000 and
	all(. * 1000000 - (. * 1000000 | round) | fabs < 0.5)'
for id in one two; do
	is $id 'map(select(.incarnation == 1)) |
		all(.index == 3 and .guid == "0001:0002:0003:0004")'
	is $id 'map(select(.incarnation == 1)) | map(.event) | . - ["async"] ==
		["add", "rename", "rename", "remove", "gone"]'
	is $id 'map(select(.event == "rename") | [.old, .device]) ==
		[["a0", "a1"], ["a1", "d0"]]'
	is $id 'map(select(.type == "PORT_ERR"))[0] | .device == "a0" and
		.port == 2 and .count == 1 and .replayed == false'
	is $id 'map(select(.type == "SM_CHANGE")) | all(.port == 1) and
		(map(.count) | add) == 5'
	is $id 'map(select(.device == "b0" and .incarnation == 2)) |
		map(.event + (.type // "")) | index("add") == 0 and
		index("asyncPORT_ERR") < index("asyncPORT_ACTIVE") and
		.[-2:] == ["remove", "gone"]'
	# it is listed still, and so comes back
	is $id 'map(select(.incarnation == 3)) | map(.event + (.type // "")) ==
		["add", "asyncDEVICE_FATAL", "remove", "gone"]'
	is $id 'map(select(.device == "b0") | .incarnation) | unique == [2, 3, 4]'
	is $id 'map(select(.device == "b0") | .index) | unique == [4, 5]'
done
is one 'map(select(.type == "PKEY_CHANGE")) | length == 1'
is two 'map(select(.type == "PKEY_CHANGE")) | length == 0'
is other '. == []'
soft remove b0

# ---- how it ends ----

use ibc_monitor
call 0 -t 0.05 a0
[ -z "$out" ] || complain "ibc_monitor -t: $out"
call 1 -t 0.05 --exit-on add
[ -z "$out" ] || complain "ibc_monitor -t --exit-on: $out"
grep -qx 'ibc_monitor: add: it did not come in time' <<<"$err" ||
	complain "ibc_monitor -t --exit-on: $err"
soft add a0
for event in remove gone rename async PORT_ERR; do
	call 1 -j -t 0.05 --exit-on $event
	grep -qx "ibc_monitor: $event: it did not come in time" <<<"$err" ||
		complain "ibc_monitor --exit-on $event: $err"
done
prints '"event":"add","device":"a0"' -j --exit-on add
prints '"event":"add","device":"a0"' -j -t 60 --exit-on=add 'a*'
call 1 -j -t 0.05 --exit-on add b0
[ -z "$out" ] || complain "ibc_monitor b0: $out"

# ends_on EVENT WORD…: that is its last line
ends_on() {
	local event=$1
	shift
	start on -j --exit-on "$event"
	wait_for seen on 1 '.event == "add"'
	soft "$@"
	ended_with on 0
	is on "last | (.event == \"$event\" or .type == \"$event\")"
	is on "map(select(.event == \"$event\" or .type == \"$event\")) |
		length == 1"
}

ends_on rename rename a0 a1
ends_on async port a1 1 down
ends_on PORT_ACTIVE port a1 1 up
ends_on PORT_ERR event a1 PORT_ERR --count 3
ends_on LID_CHANGE event a1 LID_CHANGE
ends_on remove remove a1
soft add a0
ends_on gone remove a0
for removal in fatal wait; do
	soft add a0 --removal $removal
	ends_on gone remove a0
done
soft add a0 --removal fatal
ends_on DEVICE_FATAL event a0 DEVICE_FATAL
soft remove a0

# it was ignored by who started it, and is obeyed all the same
before=(env --default-signal)
for signal in INT TERM; do
	start sig
	soft add a0
	wait_for grep -q ' add ' "$temp/sig.out"
	stop sig $signal
	soft remove a0 # nobody has it any more
done
before=()

# ---- --hold ----

soft add a0
start hold -j --hold 60000
wait_for seen hold 1 '.event == "add"'
use softverbs
fails 'a0: timed out' remove a0 --timeout 0
wait_for seen hold 1 '.event == "remove"'
fails 'a0: the name is taken by a removed device' add a0
kill -USR1 "$pid_hold"
wait_for grep -q '"draining"' "$temp/hold.err"
jq -es 'length == 1 and (.[0].devices | length == 1 and .[0].name == "a0" and
	.[0].state == "draining" and (.[0] | keys) == ["adopted", "clients",
	"guid", "incarnation", "index", "name", "state"])' \
	"$temp/hold.err" >/dev/null ||
	complain "SIGUSR1: $(cat "$temp/hold.err")"
[ "$(wc -l <"$temp/hold.err")" = 1 ] || complain "SIGUSR1: not one line"
is hold 'map(.event) == ["add", "remove"]'
kill -TERM "$pid_hold"
ended_with hold 0 '{.*}'
soft add a0
start hold -j --hold 300 --exit-on gone
wait_for seen hold 1 '.event == "add"'
soft remove a0
ended_with hold 0
is hold 'map(select(.event == "gone"))[0].time -
	map(select(.event == "remove"))[0].time > 0.299'
# what was removed with "fatal" has its name back at once
soft add a0 --removal fatal
start hold -j --hold 60000
wait_for seen hold 1 '.event == "add"'
soft remove a0
wait_for seen hold 1 '.event == "remove"'
soft add a0
wait_for seen hold 2 '.event == "add"'
is hold 'all(.event != "gone")'
stop hold
soft remove a0

# ---- for people ----

soft add a0
start text
wait_for grep -q ' add ' "$temp/text.out"
soft event a0 PORT_ERR
soft rename a0 a1
soft remove a1
wait_for grep -q ' gone ' "$temp/text.out"
stop text
time='20[0-9-]* [0-9:]*\.[0-9]\{6\}'
tail='index=[0-9]* guid=[0-9a-f:]\{19\} incarnation=1'
i=0
for pattern in "add *a0 *$tail" \
	"async *a0 *$tail type=PORT_ERR port=1 count=1 replayed=no" \
	"rename *a1 *$tail old=a0" "remove *a1 *$tail" "gone *a1 *$tail"; do
	i=$((i + 1))
	sed -n ${i}p "$temp/text.out" | grep -qx "$time *$pattern" ||
		complain "line $i is not '$pattern': $(cat "$temp/text.out")"
done
[ "$(wc -l <"$temp/text.out")" = $i ] || complain "$(cat "$temp/text.out")"

# ---- troubles ----

soft add a0
use ibc_monitor
"$command" -j >/dev/full 2>"$temp/err"
[ $? = 1 ] || complain "ibc_monitor >/dev/full: not 1"
grep -qx 'ibc_monitor: standard output: it could not be written' "$temp/err" ||
	complain "ibc_monitor >/dev/full: $(cat "$temp/err")"
# it is told, and the device comes when it can be opened
soft fault a0 open=EACCES:1
start late -j
wait_for seen late 1 '.event == "add"'
kill -TERM "$pid_late"
ended_with late 0 '^ibc_monitor: a0: cannot open .*: Permission denied'
soft fault a0 alloc_pd=ENOMEM:1
start late -j
wait_for seen late 1 '.event == "add"'
kill -TERM "$pid_late"
ended_with late 0 '^ibc_monitor: a0: no PD, will be tried again: Cannot alloc.*'
soft remove a0

finish "ibc_devices, ibc_monitor"
