#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck disable=SC2154,SC2034 # the library's variables
#
# test-target.sh SOFTVERBS TARGET INITIATOR PRELOAD: the storage target and its
# initiators on two devices, one of which is removed under load, in both ways, and
# comes again.
set -uo pipefail

softverbs=$(readlink -f "$1") || exit 1
target=$(readlink -f "$2") || exit 1
initiator=$(readlink -f "$3") || exit 1
preload=$4
# shellcheck source=tests/soft/command-lib.sh
. "$(dirname "$0")/../soft/command-lib.sh"
command=$softverbs
port=4420
log=$temp/target
flushed='Work Request Flushed Error'
export SOFTVERBS_CM='10.0.0.1=soft0 10.0.0.2=soft1'

# sees FILE LINE [TIMES]
has_lines() {
	[ "$(grep -cxF -e "$2" "$1")" -ge "${3:-1}" ]
}

sees() {
	wait_for has_lines "$@" && return
	tail -n 5 "$temp"/*.log "$log"
	finish target
}

start_target() {
	rm -f "$temp/input"
	mkfifo "$temp/input" || exit 1
	: >"$log"
	on_fabric "$target" $port <"$temp/input" >"$log" 2>&1 &
	serving=$!
	pids=("$serving")
	exec 3>"$temp/input"
	sees "$log" listening
}

# start_initiator NAME REQUESTS ADDRESS…
start_initiator() {
	local name=$1 requests=$2
	shift 2
	: >"$temp/$name.log" # not what the last one of that name has said
	on_fabric "$initiator" "$requests" $port "$@" >"$temp/$name.log" 2>&1 3>&- &
	started=$!
	pids+=("$started")
}

ends_well() {
	await_end "$1" || complain "$2: status $?: $(tail -n 5 "$3")"
}

# under_load REMOVAL
under_load() {
	local first second third
	right add soft0 --removal "$1"
	right add soft1 --removal "$1"
	start_target
	start_initiator first 0 10.0.0.1 10.0.0.2
	first=$started
	start_initiator second 0 10.0.0.2
	second=$started
	sees "$temp/first.log" '10.0.0.1: connected'
	sees "$temp/second.log" '10.0.0.2: connected'
	right remove soft0 --timeout 60000
	# whose device went connects to the other one, which serves on
	sees "$temp/first.log" '10.0.0.2: connected'
	# a device that is dead flushes nothing any more
	[ "$1" = fatal ] ||
		has_lines "$temp/first.log" "10.0.0.1: lost: $flushed" ||
		complain "no flush: $(cat "$temp/first.log")"
	sees "$log" 'soft0: resources freed'
	sees "$log" 'soft0: gone'
	right add soft0 --removal "$1"
	start_initiator third 100 10.0.0.1
	third=$started
	ends_well "$third" "on the next soft0" "$temp/third.log"
	has_lines "$log" 'soft0: resources made' 2 ||
		complain "the next soft0 is not served: $(cat "$log")"
	! grep -q '^10.0.0.2: lost' "$temp/second.log" ||
		complain "the other device's connection was lost"
	kill -TERM "$first" "$second"
	ends_well "$first" first "$temp/first.log"
	ends_well "$second" second "$temp/second.log"
	echo "$1: $(grep '^10.0.0.1: lost' "$temp/first.log");" \
		"the other device: $(grep '^longest' "$temp/second.log")"
	exec 3>&-
	ends_well "$serving" target "$log"
	pids=()
	has_lines "$log" ended || complain "no end: $(cat "$log")"
	if [ "$(grep -c 'resources made' "$log")" != 3 ] ||
	   [ "$(grep -c 'resources freed' "$log")" != 3 ]; then
		complain "not made once and freed once each: $(cat "$log")"
	fi
	call 0 list -j
	json 'all(.[]; .contexts == [])'
	right remove soft0 --timeout 60000
	right remove soft1 --timeout 60000
}

under_load wait
under_load fatal
finish target
