# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# shellcheck source=tests/vm/cases/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# The other examples on real drivers, each while devices go and come. Those with a
# loop differ in their loop alone: one of them is here.

# begin PROGRAM: its input ends with descriptor 9
begin() {
	log=$(mktemp)
	mkfifo "$log.in"
	"$1" <"$log.in" >"$log" 2>&1 &
	program=$!
	exec 9>"$log.in"
	rm "$log.in"
}

said() {
	[ "$(grep -cxE -e "$1" "$log")" -ge "${2:-1}" ]
}

# sees PATTERN [TIMES]
sees() {
	until_true 20 said "$@" || {
		cat "$log"
		give_up "no '$1'"
	}
}

delete_ends() {
	check "the delete ends" timeout 20 rdma link delete "$1" 9>&-
}

# ends LINE: well, and with that line
ends() {
	exec 9>&-
	check "it ends well" wait "$program"
	check "it says so at the end" test "$(tail -n 1 "$log")" = "$1"
}

case_example_shared_pd() {
	local moved="the one's memory was sent by the other's QP"
	have_rxe rxe0 rxe1
	begin shared_pd
	sees "rxe0: $moved"
	sees "rxe1: $moved"
	delete_ends rxe0
	sees "rxe0: gone"
	add_rxe rxe0
	sees "rxe0: $moved" 2
	ends ended
	delete_ends rxe0
	delete_ends rxe1
}

case_example_kref_style() {
	local same="4 threads of 4 have the same PD"
	have_rxe rxe0
	begin kref_style
	printf '\n%.0s' {1..20} >&9
	sees "rxe0: $same" 20
	delete_ends rxe0
	add_rxe rxe1
	until_true 20 example_round rxe1 "$same" || give_up "rxe1 is not there"
	ends "all PDs are freed"
}

# example_round DEVICE WORDS: a round, and whether it has the device by now
example_round() {
	echo >&9
	until_true 1 said "$1: $2"
}

case_example_srpt_style_events() {
	have_rxe rxe0
	begin srpt_style_events
	sees "rxe0: channel [0-9]+"
	ip link set ibc-rxe0 down
	sees "rxe0: port 1 is down"
	ip link set ibc-rxe0 up
	sees "rxe0: port 1 is active"
	delete_ends rxe0
	sees "rxe0: removed"
	add_rxe rxe0
	sees "rxe0: channel [0-9]+" 2
	ends "everything is freed"
}

case_example_loop_epoll() {
	have_rxe rxe0
	begin loop_epoll
	sees "add rxe0"
	delete_ends rxe0
	sees "remove rxe0"
	sees "gone rxe0"
	add_rxe rxe0
	sees "add rxe0" 2
	exec 9>&-
	check "it ends well" wait "$program"
}
