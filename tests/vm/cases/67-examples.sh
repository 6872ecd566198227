# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# shellcheck source=tests/vm/cases/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# The other examples on real drivers, each while devices go and come. Those with a
# loop differ in their loop alone: one of them is here.

# example_begin PROGRAM: its input ends with descriptor 9
example_begin() {
	log=$(mktemp)
	mkfifo "$log.in"
	"$1" <"$log.in" >"$log" 2>&1 &
	program=$!
	exec 9>"$log.in"
	rm "$log.in"
}

example_said() {
	[ "$(grep -cxE -e "$1" "$log")" -ge "${2:-1}" ]
}

# example_sees PATTERN [TIMES]
example_sees() {
	until_true 20 example_said "$@" || {
		cat "$log"
		give_up "no '$1'"
	}
}

example_delete() {
	check "the delete ends" timeout 20 rdma link delete "$1" 9>&-
}

# example_ends LINE: well, and with that line
example_ends() {
	exec 9>&-
	check "it ends well" wait "$program"
	check "it says so at the end" test "$(tail -n 1 "$log")" = "$1"
}

case_example_shared_pd() {
	local moved="the one's memory was sent by the other's QP"
	have_rxe rxe0 rxe1
	example_begin shared_pd
	example_sees "rxe0: $moved"
	example_sees "rxe1: $moved"
	example_delete rxe0
	example_sees "rxe0: gone"
	add_rxe rxe0
	example_sees "rxe0: $moved" 2
	example_ends ended
	example_delete rxe0
	example_delete rxe1
}

case_example_kref_style() {
	local same="4 threads of 4 have the same PD"
	have_rxe rxe0
	example_begin kref_style
	printf '\n%.0s' {1..20} >&9
	example_sees "rxe0: $same" 20
	example_delete rxe0
	add_rxe rxe1
	until_true 20 example_round rxe1 "$same" || give_up "rxe1 is not there"
	example_ends "all PDs are freed"
}

# example_round DEVICE WORDS: a round, and whether it has the device by now
example_round() {
	echo >&9
	until_true 1 example_said "$1: $2"
}

case_example_srpt_style_events() {
	have_rxe rxe0
	example_begin srpt_style_events
	example_sees "rxe0: channel [0-9]+"
	ip link set ibc-rxe0 down
	example_sees "rxe0: port 1 is down"
	ip link set ibc-rxe0 up
	example_sees "rxe0: port 1 is active"
	example_delete rxe0
	example_sees "rxe0: removed"
	add_rxe rxe0
	example_sees "rxe0: channel [0-9]+" 2
	example_ends "everything is freed"
}

case_example_loop_epoll() {
	have_rxe rxe0
	example_begin loop_epoll
	example_sees "add rxe0"
	example_delete rxe0
	example_sees "remove rxe0"
	example_sees "gone rxe0"
	add_rxe rxe0
	example_sees "add rxe0" 2
	exec 9>&-
	check "it ends well" wait "$program"
}
