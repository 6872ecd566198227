# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# shellcheck source=tests/vm/cases/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Many devices, and each source of news alone.

# each_once NAME COUNT: COUNT incarnations of NAME, each with one add, one
# remove, one gone, in this order, and none with the index of another.
each_once() {
	event_json '[.[] | select(.device == $name and .event != "async")] |
		group_by(.incarnation) |
		length == $count and
		all(.[]; map(.event) == ["add", "remove", "gone"] and
			(map(.index) | unique | length) == 1) and
		(map(.[0].index) | unique | length) == $count' \
		--arg name "$1" --argjson count "$2"
}

case_many_devices_at_once() {
	local number pids=()
	have_rxe rxe0 rxe1 rxe2 rxe3
	start_monitor --hold 4000
	for number in 0 1 2 3; do
		wait_event add "rxe$number"
	done
	# The rdma command cannot find its device while the list changes.
	for number in 0 1 2 3; do
		delete_rxe "rxe$number" &
		pids+=($!)
		wait_event remove "rxe$number"
	done
	check "all of them wait" test -e "/proc/${pids[0]}"
	for number in 0 1 2 3; do
		check "every delete returns" wait "${pids[number]}"
	done
	while [ "$(event_json '[.[] | select(.event == "gone")] | length')" \
		-lt 4 ]; do
		check "four gone" next_line 10
	done
	stop_monitor
	for number in 0 1 2 3; do
		check "rxe$number" each_once "rxe$number" 1
	done
}

# The new device has the name and the uverbs minor of one that drains still.
case_new_device_while_the_old_one_drains() {
	local delete
	have_rxe rxe0
	start_monitor --hold 6000
	wait_event add rxe0
	delete_rxe rxe0 &
	delete=$!
	wait_event remove rxe0
	add_rxe rxe1
	wait_event add rxe1 5
	check "it did not wait for the drain" test -e /proc/$delete
	wait $delete
	wait_event gone rxe0
	stop_monitor
	check "rxe1 is there" test "$(count_events remove rxe1)" = 0
}

# comes_and_goes: rxe0 is the last device, so that /dev/infiniband itself goes.
comes_and_goes() {
	wait_event add rxe0
	add_rxe rxe1
	wait_event add rxe1
	delete_rxe rxe1
	wait_event gone rxe1
	delete_rxe rxe0
	wait_event gone rxe0
	add_rxe rxe0
	wait_event add rxe0
	stop_monitor
}

case_source_uevent_alone() {
	have_rxe rxe0
	start_monitor env IBC_SOURCES=uevent --
	comes_and_goes
}

case_source_inotify_alone() {
	have_rxe rxe0
	start_monitor env IBC_SOURCES=inotify --
	comes_and_goes
}

# A rootless container: no uevents, no RDMA netlink, no rights.
case_rootless_container() {
	have_rxe rxe0
	start_monitor "${as_nobody[@]}" unshare -Urn --
	comes_and_goes
}

# A device that cannot be opened is tried again.
case_permission_given_later() {
	local start
	have_rxe rxe0
	chmod 000 /dev/infiniband/uverbs0
	start_monitor "${as_nobody[@]}" --
	add_rxe rxe1
	wait_event add rxe1
	check "rxe0 cannot be opened" test "$(count_events add rxe0)" = 0
	chmod 666 /dev/infiniband/uverbs0
	start=$(now_ms)
	wait_event add rxe0 40
	measured "add $(($(now_ms) - start)) ms after the permission"
	stop_monitor
}
