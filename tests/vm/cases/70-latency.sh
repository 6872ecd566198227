# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# shellcheck source=tests/vm/cases/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# How much later than the kernel's sign the library calls back. The reference are
# bare readers in the same process (vm_removal): they wake up by the same event,
# on the same emulated CPUs, so that what the `rdma` command takes is no part of
# it, nor what the kernel does between a device's node and the device.

# rounds_of NUM [BEFORE…] -- [OPTION…]: the device rxe1 comes and goes NUM times
# beside rxe0. Leaves the last line of vm_removal in $event.
rounds_of() {
	local num=$1 round before=()
	shift
	while [ "$1" != -- ]; do
		before+=("$1")
		shift
	done
	shift
	[ -e /sys/class/infiniband/rxe0 ] || have_rxe rxe0
	start_program "${before[@]}" vm_removal -n "$num" "$@" rxe1
	wait_event ready rxe1
	for ((round = 0; round < num; round++)); do
		add_rxe rxe1
		wait_event add rxe1
		delete_rxe rxe1
		wait_event gone rxe1
	done
	wait_event end rxe1
}

stop_rounds() {
	rest_of_events
	wait "$monitor"
	exec {monitor_fd}<&-
}

# of KEY: a number of $event
of() {
	jq ".$1" <<<"$event"
}

is_prompt() {
	rounds_of 21 --
	stop_rounds
	measured "remove() $(of remove_us) µs after the bare reader of uevents," \
		"close $(of close_us) µs after the last put," \
		"an eventfd wakes a thread in $(of handover_us) µs;" \
		"medians of 21"
	[ "$(of remove_us)" -le 2000 ] &&
		[ "$(of close_us)" -le $(($(of handover_us) + 1000)) ]
}

# remove() within 2 ms, close within 1 ms more than a thread wakes up. The library
# reads a list in that time and closes a file, which a neighbour's load on an
# emulated CPU makes long; so the next measurement counts as well, up to the sixth.
case_remove_and_close_are_prompt() { # 300 s
	local try
	for try in 1 2 3 4 5 6; do
		! is_prompt || return 0
	done
	give_up "$try times remove() or close came too late"
}

seen_within_100_ms() {
	rounds_of 5 env IBC_SOURCES=inotify -- -r
	stop_rounds
	measured "add() $(of add_us) µs after the kernel said to others that" \
		"the device is there, remove() $(of remove_us) µs after the" \
		"bare reader of inotify; medians of 5"
	[ "$(of add_us)" -le 100000 ] && [ "$(of remove_us)" -le 100000 ]
}

# In a rootless container a node is all that is heard of a device; when the device
# itself is there, an add's reference, the kernel tells others. As above, the next
# measurement counts as well, up to the third.
case_rootless_by_inotify_within_100_ms() { # 240 s
	local try
	for try in 1 2 3; do
		! seen_within_100_ms || return 0
	done
	give_up "$try times add() or remove() came too late"
}

# A quarter of a second is for reading the list and for a busy machine.
case_rootless_by_timer_within_one_interval() { # 120 s
	local interval
	interval=$(IBC_SOURCES=timer vm_removal -s |
		sed -n 's/^timer: active (every \([0-9]*\) ms.*/\1/p')
	rounds_of 3 env IBC_SOURCES=timer -- -r
	measured "every $interval ms: add() $(of add_us) µs, at most" \
		"$(of add_max_us) µs, remove() $(of remove_us) µs, at most" \
		"$(of remove_max_us) µs after the kernel's sign; medians of 3"
	check "adds" test "$(of add_max_us)" -le $((interval * 1000 + 250000))
	check "removes" \
		test "$(of remove_max_us)" -le $((interval * 1000 + 250000))
}
