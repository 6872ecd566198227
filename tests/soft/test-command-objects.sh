#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck disable=SC2154,SC2317 # set by printf -v, called by wait_for
#
# test-command-objects.sh SOFTVERBS HOLDER: what needs a program that has devices
# open: contexts in `list`, events to its objects, faults, removals of either
# style. And the tables of softverbs(7) are true.
set -uo pipefail

command=$1
softverbs=$1
holder=$2
# shellcheck source=tests/soft/command-lib.sh
. "$(dirname "$0")/command-lib.sh"
page=$(dirname "$0")/../../providers/soft/man/softverbs.7.md

# start_holder ID WORD…: $temp/ID.out is what it prints, $temp/ID.in its input
start_holder() {
	local id=$1
	shift
	mkfifo "$temp/$id.in"
	: >"$temp/$id.out" # here: another of that ID may have been ready
	on_fabric "$holder" "$@" <"$temp/$id.in" >"$temp/$id.out" 2>&1 &
	pids+=($!)
	printf -v "pid_$id" %s $!
	exec {fd}>"$temp/$id.in"
	printf -v "fd_$id" %s "$fd"
	wait_for grep -q '^ready' "$temp/$id.out"
}

# stop_holder ID: it must end well
stop_holder() {
	local fd=fd_$1 pid=pid_$1
	# not by closing it: those started later have it, too
	echo >&"${!fd}"
	await_end "${!pid}" || complain "holder $1 ended with $?: $(cat "$temp/$1.out")"
}

# number ID KIND: what it said of its object
number() {
	sed -n "s/^$2 //p" "$temp/$1.out"
}

# got ID TYPE NUMBER COUNT: so many such events have been printed
got() {
	[ "$(grep -cx "$2 $3" "$temp/$1.out")" = "$4" ]
}

right add a0 --ports 2
right add b0 --removal fatal
start_holder one a0
start_holder two a0
start_holder bare a0 bare

# ---- list ----

prints . list -j
json 'map(select(.device == "a0"))[0].contexts | length == 3 and
	all(keys == ["cqs", "pid", "qps", "srqs", "wqs"])'
for id in one two; do
	pid=pid_$id
	json "map(select(.device == \"a0\"))[0].contexts[] |
		select(.pid == ${!pid}) | .qps == [$(number $id qp)] and
		.cqs == [$(number $id cq)] and .srqs == [$(number $id srq)] and
		.wqs == [$(number $id wq)]"
done
json "map(select(.device == \"a0\"))[0].contexts[] |
	select(.pid == $pid_bare) | [.qps, .cqs, .srqs, .wqs] | add == []"
prints "open in process $pid_one, QPs $(number one qp), CQs " list

# ---- every type, as softverbs(7) has it ----

types=(CQ_ERR QP_FATAL QP_REQ_ERR QP_ACCESS_ERR COMM_EST SQ_DRAINED PATH_MIG
	PATH_MIG_ERR DEVICE_FATAL PORT_ACTIVE PORT_ERR LID_CHANGE PKEY_CHANGE
	SM_CHANGE SRQ_ERR SRQ_LIMIT_REACHED QP_LAST_WQE_REACHED
	CLIENT_REREGISTER GID_CHANGE WQ_FATAL)

# the page's table: `TYPE` `--option` or –
element() {
	sed -n '/^## Events/,/^## /p' "$page" |
		awk -v type="$1" '$1 == type { print $2; exit }'
}

for value in "${!types[@]}"; do
	type=${types[value]}
	option=$(element "$type")
	case $option in
	--port)
		right event a0 "$type" --port 2
		wait_for got one "$value" 2 1
		right event a0 "$type"
		wait_for got one "$value" 1 1
		wait_for got bare "$value" 1 1
		wrong "$type: it needs --port, and nothing else" \
			event a0 "$type" --qp 1
		fails 'a0: no such port' event a0 "$type" --port 3
		fails 'a0: no such port' event a0 "$type" --port 0
		;;
	--qp | --cq | --srq | --wq)
		n=$(number one "${option#--}")
		right event a0 "$type" "$option" "$n" --pid "$pid_one"
		wait_for got one "$value" "$n" 1
		wrong "$type: it needs $option" event a0 "$type"
		wrong "$type: it needs $option, and nothing" event a0 "$type" \
			--port 1
		fails 'a0: no open context has that' event a0 "$type" \
			"$option" 4000000
		fails 'no open context' event a0 "$type" "$option" "$n" \
			--pid "$pid_bare"
		;;
	none)
		right event a0 "$type"
		wait_for got one "$value" 0 1
		wrong "$type: it is of the whole device" event a0 "$type" \
			--port 1
		;;
	*) complain "softverbs(7) does not say what $type needs" ;;
	esac
done

# ---- event: its options ----

right event a0 SM_CHANGE --pid "$pid_two" --count 0x5 --port=2
wait_for got two 13 2 6
right event --count 2 -- a0 LID_CHANGE
wait_for got two 11 1 3
wait_for got one 11 1 3
got one 13 2 1 || complain "--pid: another process was told, too"
right event a0 QP_FATAL --qp "$(number two qp)" --count 7
wait_for got two 1 "$(number two qp)" 7
right event a0 CLIENT_REREGISTER --count 1 --count 2
wait_for got two 17 1 3
fails 'b0: no open context has that' event b0 QP_FATAL --qp 1
fails 'no open context has that' event a0 SM_CHANGE --pid 1
fails 'zz: no such device' event zz PORT_ERR
right event b0 PORT_ERR
wrong 'PORT_MELTED: unknown type' event a0 PORT_MELTED
wrong 'port_err: unknown type' event a0 port_err
wrong 'unknown type' event a0 IBV_EVENT_PORT_ERR
wrong "'': unknown type" event a0 ''
wrong 'unknown type' event a0 'PORT_ERR --port 1'
wrong 'unknown type' event zz PORT_MELTED
wrong '--qp: an event has one element only' event a0 QP_FATAL --qp 1 --qp 2
wrong 'an event has one element only' event a0 PORT_ERR --port 1 --cq 2
for option in port qp cq srq wq pid count; do
	wrong "--$option: a value is missing" event a0 QP_FATAL --$option
	wrong "--$option: not a whole number" event a0 QP_FATAL --$option x
	wrong "--$option: not a whole number" event a0 QP_FATAL --$option -1
	wrong "--$option: not a whole number" event a0 QP_FATAL --$option ''
	wrong "--$option: a number from . to 4294967295" event a0 QP_FATAL \
		--$option 99999999999
done
wrong '--count: a number from 1' event a0 PORT_ERR --count 0
wrong '--pid: a number from 1' event a0 PORT_ERR --pid 0
wrong 'event: arguments are missing' event
wrong 'event: arguments are missing' event a0
wrong 'x: one argument too many' event a0 PORT_ERR x

# port, gid and pkey have an event of their own; one for a change only
for words in "port a0 2 down:10" "port a0 2 down:10" "port a0 2 up:9" \
	"gid a0 2 1 fe80::5:18" "pkey a0 2 1 0x8001:12"; do
	read -ra argv <<<"${words%:*}"
	right "${argv[@]}"
done
wait_for got bare 10 2 2
wait_for got bare 9 2 2
wait_for got bare 18 2 2
wait_for got bare 12 2 2

# ---- fault ----

# verbs of softverbs(7): all are taken
verbs=$(sed -n '/^## Faults/,/^## /s/^    *\([a-z].*\)/\1/p' "$page")
[ "$(wc -w <<<"$verbs")" -gt 40 ] || complain "softverbs(7) has no verbs"
for verb in $verbs; do
	right fault b0 "$verb=EIO:1"
done
right fault b0 none
right fault b0 open=EACCES:1 alloc_pd=ENOMEM reg_mr=delay:50
right fault b0 alloc_pd=12:3 none create_qp=ENOSPC
right fault b0 none
right fault b0 alloc_pd=0x26:0x2 reg_mr=delay:0x10 create_qp=014:010
right fault b0 none
wrong 'alloc_pd=0x: unknown errno' fault b0 alloc_pd=0x
right fault -- b0 none
fails 'zz: no such device' fault zz none
wrong 'alloc_moon=ENOMEM: unknown verb' fault b0 alloc_moon=ENOMEM
wrong 'ibv_alloc_pd=ENOMEM: unknown verb' fault b0 ibv_alloc_pd=ENOMEM
wrong 'a_name=EIO: unknown verb' fault b0 alloc_pd=EIO a_name=EIO
wrong 'alloc_pd=EMOON: unknown errno' fault b0 alloc_pd=EMOON
wrong 'alloc_pd=: unknown errno' fault b0 alloc_pd=
wrong 'alloc_pd=0: unknown errno' fault b0 alloc_pd=0
wrong 'alloc_pd=-5: unknown errno' fault b0 alloc_pd=-5
wrong 'alloc_pd: not VERB=ERRNO' fault b0 alloc_pd
wrong 'all: not VERB=ERRNO' fault b0 all
for n in '' 0 -1 x 99999999999 1x; do
	wrong "alloc_pd=EIO:$n: N is a number" fault b0 "alloc_pd=EIO:$n"
	wrong "reg_mr=delay:$n: a delay is" fault b0 "reg_mr=delay:$n"
done
wrong 'reg_mr=delay: a delay is' fault b0 reg_mr=delay
wrong 'fault: arguments are missing' fault
wrong 'fault: arguments are missing' fault b0
wrong "'': not VERB" fault b0 ''

# nothing of a command line that is wrong is done; a count ends
(on_fabric "$holder" b0 bare </dev/null >/dev/null 2>&1) ||
	complain "a refused fault had an effect"
right fault b0 open=EACCES:1
out=$(on_fabric "$holder" b0 bare </dev/null 2>&1)
[ "$out" = 'b0: Permission denied' ] ||
	complain "open=EACCES:1 did not fail: $out"
(on_fabric "$holder" b0 bare </dev/null >/dev/null 2>&1) ||
	complain "open=EACCES:1 failed twice"

# fails_once FAULT MESSAGE
fails_once() {
	right fault b0 "$1:1"
	out=$(on_fabric "$holder" b0 </dev/null 2>&1)
	[ "${out##*$'\n'}" = "b0: $2" ] || complain "$1 did not fail: $out"
	(on_fabric "$holder" b0 </dev/null >/dev/null 2>&1) ||
		complain "$1:1 failed twice"
}

fails_once alloc_pd=ENOMEM "Cannot allocate memory"
fails_once create_cq=5 "Input/output error"
fails_once create_srq=38 "Function not implemented"
fails_once create_wq=EPERM "Operation not permitted"
fails_once create_qp=EOPNOTSUPP "Operation not supported"
# without a number until none
right fault b0 alloc_pd=ENOMEM
for i in 1 2 3; do
	(on_fabric "$holder" b0 </dev/null >/dev/null 2>&1) &&
		complain "alloc_pd=ENOMEM: time $i did not fail"
done
right fault b0 none
(on_fabric "$holder" b0 </dev/null >/dev/null 2>&1) ||
	complain "fault none took nothing back"

# ---- removals ----

fails 'a0: timed out: a program still has it open' remove a0 --timeout 0
fails 'a0: no such device' remove a0
fails 'a0: the name is taken by a removed device' add a0
fails 'a0: the name is taken by a removed device' rename b0 a0
fails 'a0: no such device' event a0 PORT_ERR
prints . list -j
json 'map(.device) == ["b0"]'
stop_holder one
stop_holder two
stop_holder bare
right add a0

# it returns when the last one has closed, and not before
unlisted() {
	! "$softverbs" list | grep -q "^$1	"
}

for option in --timeout=600000 --; do
	start_holder last a0 bare
	"$softverbs" remove "$option" a0 >"$temp/remove.out" 2>&1 &
	remover=$!
	pids+=("$remover")
	wait_for unlisted a0
	kill -0 "$remover" || complain "remove $option did not wait"
	stop_holder last
	await_end "$remover" || complain "remove $option: $?"
	[ ! -s "$temp/remove.out" ] || complain "$(cat "$temp/remove.out")"
	rm "$temp/last.in"
	right add a0
done

# that of the other style does not wait, and the name is free at once
start_holder fatal b0
right remove b0
wait_for got fatal 8 0 1
right add b0
prints . list -j
json 'map(select(.device == "b0"))[0].contexts == []'
stop_holder fatal

finish "softverbs: contexts, events, faults"
