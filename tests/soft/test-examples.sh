#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck disable=SC2154,SC2034 # the library's variables
#
# test-examples.sh SOFTVERBS KREF SRPT SHARED PRELOAD: the examples that share a PD by
# compare and exchange, that use their data in an event handler, and the two
# libraries with one PD.
set -uo pipefail

softverbs=$(readlink -f "$1") || exit 1
kref=$(readlink -f "$2") || exit 1
srpt=$(readlink -f "$3") || exit 1
shared=$(readlink -f "$4") || exit 1
preload=$5
# shellcheck source=tests/soft/command-lib.sh
. "$(dirname "$0")/command-lib.sh"
command=$softverbs
unset IBC_LOG_LEVEL IBC_LOG_FILE IBC_SOURCES
log=$temp/log

# start PROGRAM: with an input that lasts until fd 3 is closed
start() {
	rm -f "$temp/input"
	mkfifo "$temp/input" || exit 1
	: >"$log"
	on_fabric "$1" <"$temp/input" >"$log" 2>&1 &
	pids=("$!")
	exec 3>"$temp/input"
}

# ends LINE: when its input does, well, and with that line
ends() {
	local status
	exec 3>&-
	wait "${pids[0]}"
	status=$?
	pids=()
	[ $status = 0 ] || complain "status $status"
	[ "$(tail -n 1 "$log")" = "$1" ] || complain "its last line is not: $1"
}

has_lines() {
	[ "$(grep -cxE -e "$1" "$log")" -ge "$2" ]
}

# sees PATTERN [TIMES]: so many lines of it in the program's output, some time
sees() {
	wait_for has_lines "$1" "${2:-1}" && return
	cat "$log"
	finish "no '$1'"
}

right add soft0
right add soft1 --removal fatal

start "$kref"
yes "" | head -n 50 >&3
same="4 threads of 4 have the same PD"
sees "soft0: $same" 50
sees "soft1: $same" 50
right remove soft1
echo >&3
sees "soft0: $same" 51
ends "all PDs are freed"
[ "$(grep -c soft1 "$log")" = 50 ] || complain "soft1 was there too long"
right add soft1 --removal fatal

start "$srpt"
for name in soft0 soft1; do
	sees "$name: channel [0-9]+"
	num=$(sed -n "s/^$name: channel //p" "$log")
	right event $name SM_CHANGE
	sees "$name: port 1 is active"
	right event $name PORT_ERR
	sees "$name: port 1 is [a-z]+" 2
	right event $name QP_LAST_WQE_REACHED --qp "$num"
	sees "$name: the channel is released"
	right remove $name
	sees "$name: removed"
done
right add soft0
sees "soft0: channel [0-9]+" 2
ends "everything is freed"
right add soft1 --removal fatal

# one context and PD for both libraries: a key of another PD would not be taken
start "$shared"
for name in soft0 soft1; do
	sees "$name: the one's memory was sent by the other's QP"
done
call 0 list -j
json 'length == 2 and all(.[]; .contexts | length == 1)'
for name in soft0 soft1; do
	right remove $name
	sees "$name: gone"
	right add $name
	sees "$name: the one's memory was sent by the other's QP" 2
done
ends ended
call 0 list -j
json 'all(.[]; .contexts == [])'
[ "$failed" = 0 ] || cat "$log"
finish examples
