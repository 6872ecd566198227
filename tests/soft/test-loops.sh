#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck disable=SC2154,SC2034 # the library's variables
#
# test-loops.sh SOFTVERBS NAME PROGRAM PRELOAD: one of the loop examples among
# devices of both kinds that come, change and go, and each of its ends.
set -uo pipefail

if [ -z "$3" ]; then
	echo "skipped: $2 is not built here: its loop's library was not found"
	exit 77
fi
softverbs=$(readlink -f "$1") || exit 1
name=$2
program=$(readlink -f "$3") || exit 1
preload=$4
# shellcheck source=tests/soft/command-lib.sh
. "$(dirname "$0")/command-lib.sh"
command=$softverbs
unset IBC_LOG_LEVEL IBC_LOG_FILE IBC_SOURCES
log=$temp/log

# start: the program, with an input that lasts until fd 3 is closed
start() {
	rm -f "$temp/input"
	mkfifo "$temp/input" || exit 1
	: >"$log"
	on_fabric "$program" <"$temp/input" >"$log" 2>&1 &
	pid=$!
	pids=("$pid")
	exec 3>"$temp/input"
}

# sees LINE…: each in the program's output, some time; it ends without
sees() {
	local line
	for line in "$@"; do
		wait_for has_line "$log" "$line" && continue
		uniq -c "$log"
		finish "$name"
	done
}

# sees_not LINE…: none of them so far
sees_not() {
	local line
	for line in "$@"; do
		! has_line "$log" "$line" || complain "too early: $line"
	done
}

# begin_remove NAME: comes back at once; finish_remove then waits for it
begin_remove() {
	"$softverbs" remove "$1" --timeout 60000 3>&- &
	remover=$!
	pids+=("$remover")
}

finish_remove() {
	await_end "$remover" || complain "softverbs remove: status $?"
	pids=("$pid")
}

# ends_well: by itself; all was told, in pairs, nothing is left in the fabric
ends_well() {
	await_end "$pid" || complain "$name: status $?: $(cat "$log")"
	pids=()
	exec 3>&-
	[ "$(grep -c '^add ' "$log")" = "$(grep -c '^remove ' "$log")" ] ||
		complain "not a remove for each add: $(cat "$log")"
	[ -z "$(sort "$log" | grep -E '^(add|remove|gone) ' | uniq -d)" ] ||
		complain "told twice: $(cat "$log")"
	call 0 list -j
	json 'all(.[]; .contexts == [])'
}

# qp_of NAME: the number of the one that the program has there
qp_of() {
	call 0 list -j
	jq -r --arg name "$1" \
		'select(.device == $name).contexts[0].qps[0]' <<<"$out"
}

# devices of both kinds, a rename, events for each handler
comes_and_goes() {
	right add early
	start
	sees 'add early'
	right add wait --removal wait
	right add fatal --removal fatal
	sees 'add wait' 'add fatal'
	right port early 1 down
	sees 'port early 1 port error'
	right rename early late
	sees 'rename early late'
	right port late 1 up
	sees 'port late 1 port active'
	qp=$(qp_of late)
	right event late QP_ACCESS_ERR --qp "$qp"
	sees "qp late $qp local access violation work queue error"
	right event wait SM_CHANGE --port 1 --count 1000
	sees 'port wait 1 SM change'
}

# a removal of each kind while the program holds the data
drains() {
	echo h >&3
	sees 'work wait' 'work fatal'
	begin_remove wait
	sees 'remove wait, at work'
	right remove fatal --timeout 60000
	sees 'remove fatal, at work'
	sees_not 'gone wait' 'gone fatal'
	echo p >&3
	sees 'gone wait' 'gone fatal'
	finish_remove
}

# shellcheck disable=SC2317 # stays_asleep calls it
# asleep TIMES: has the thread of the loop slept that often, and does it now?
asleep() {
	grep -q '^State:.S' "/proc/$pid/status" &&
		grep -qx "voluntary_ctxt_switches:.$1" "/proc/$pid/status"
}

# shellcheck disable=SC2317 # wait_for calls it
stays_asleep() {
	local before
	before=$(sed -n 's/^voluntary_ctxt.*:.//p' "/proc/$pid/status")
	read -rt 0.3 <> <(:)
	asleep "$before"
}

# stopped while it drains: it puts what it holds, and nothing waits for ever
ends_at_work() {
	right add last
	sees 'add last'
	echo h >&3
	sees 'work last' 'work late'
	begin_remove last
	sees 'remove last, at work'
	kill "-$1" "$pid"
	ends_well
	finish_remove
	pids=()
}

comes_and_goes
drains
wait_for stays_asleep # all that woke it has left the descriptor quiet
ends_at_work TERM
start
sees 'add late'
ends_at_work INT

# the end of input, and a command, are ends too
start
sees 'add late'
exec 3>&-
ends_well
start
sees 'add late'
echo q >&3
ends_well

finish "$name"
