# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# shellcheck source=tests/vm/cases/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Drivers of build-modules (see load_built), and what a driver refuses.

# paired NAME COUNT: as each_once, but the index may come again.
paired() {
	event_json '[.[] | select(.device == $name and .event != "async")] |
		group_by(.incarnation) |
		length == $count and
		all(.[]; map(.event) == ["add", "remove", "gone"])' \
		--arg name "$1" --argjson count "$2"
}

# not_yet EVENT DEVICE: not printed so far.
not_yet() {
	[ "$(count_events "$1" "$2")" = 0 ]
}

case_patched_delete_does_not_wait_for_the_holder() {
	local start took
	load_patched_rxe
	add_rxe rxe0
	start_monitor --hold 6000
	wait_event add rxe0
	start=$(now_ms)
	delete_rxe rxe0
	took=$(($(now_ms) - start))
	wait_event remove rxe0
	check "the monitor holds it still" not_yet gone rxe0
	add_rxe rxe0
	wait_event add rxe0
	check "back before the old one is gone" not_yet gone rxe0
	wait_event gone rxe0
	delete_rxe rxe0
	wait_event gone rxe0
	stop_monitor
	check "two incarnations, each once" each_once rxe0 2
	measured "delete returned after $took ms, held for 6000 ms"
	check "it did not wait" test $took -lt 5500
}

# With a timer of its own pace nothing is faster than the context itself.
case_patched_says_device_fatal_then_remove() {
	load_patched_rxe
	add_rxe rxe0
	start_monitor env IBC_SOURCES=timer --
	wait_event add rxe0
	delete_rxe rxe0
	wait_event async rxe0 10 type DEVICE_FATAL
	wait_event remove rxe0
	wait_event gone rxe0
	stop_monitor
	check "once each" each_once rxe0 1
	check "one DEVICE_FATAL" event_json \
		'[.[] | select(.type == "DEVICE_FATAL")] | length == 1'
}

# Two namespaces that share no devices. The index stays, and so is no
# incarnation.
case_patched_moves_between_namespaces() {
	load_patched_rxe
	check "exclusive" until_true 5 rdma system set netns exclusive
	trap 'ip netns delete ibc-other; ip netns delete ibc-home
		until_true 5 rdma system set netns shared' EXIT
	add_rxe rxe0
	ip netns add ibc-other
	ip netns attach ibc-home $$
	start_monitor
	wait_event add rxe0
	rdma dev set rxe0 netns ibc-other
	wait_event remove rxe0
	wait_event gone rxe0
	ip netns exec ibc-other rdma dev set rxe0 netns ibc-home
	wait_event add rxe0
	delete_rxe rxe0
	wait_event gone rxe0
	stop_monitor
	check "two incarnations, each once" paired rxe0 2
}
