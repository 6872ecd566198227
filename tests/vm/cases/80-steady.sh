# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# shellcheck source=tests/vm/cases/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# What must not change: nothing happens, what is said did not happen, and
# everything happens again and again.

# dump_number FILTER: a number of the newest dump, once there is one.
dump_number() {
	local before
	before=$(grep -c '^{' "$errors" || true)
	kill -USR1 "$monitor"
	until_true 5 more_dumps "$before" >/dev/null
	grep '^{' "$errors" | tail -n 1 | jq "$1"
}

more_dumps() {
	[ "$(grep -c '^{' "$errors")" -gt "$1" ]
}

false_hints() {
	dump_number .stats.false_hints
}

has_false_hints() {
	[ "$(false_hints)" = "$1" ]
}

case_false_remove_is_one_false_hint() {
	local before
	have_rxe rxe0
	start_monitor
	wait_event add rxe0
	before=$(false_hints)
	echo remove >/sys/class/infiniband_verbs/uverbs0/uevent
	check "one false hint" until_true 5 has_false_hints $((before + 1))
	echo remove >/sys/class/infiniband/rxe0/uevent
	# What comes later has been seen after it.
	add_rxe rxe1
	wait_event add rxe1
	ip link set ibc-rxe0 down
	wait_event async rxe0 10 type PORT_ERR
	measured "false hints: $before, then $(false_hints)"
	check "no more than one each" test "$(false_hints)" -le $((before + 2))
	stop_monitor
	check "rxe0 was never removed" test "$(count_events remove rxe0)" = 0
	check "nor added again" test "$(count_events add rxe0)" = 1
}

# Of all its threads.
switches() {
	awk '$1 == "voluntary_ctxt_switches:" { n += $2 } END { print n }' \
		/proc/"$monitor"/task/*/status
}

has_settled() {
	local before
	before=$(switches)
	sleep 0.5
	[ "$(switches)" = "$before" ]
}

case_idle_monitor_never_wakes_up() { # 120 s
	local seconds=10 before
	[ "${IBC_LONG:-}" != 1 ] || seconds=60
	have_rxe rxe0
	start_monitor
	wait_event add rxe0
	check "comes to rest" until_true 10 has_settled
	before=$(switches)
	sleep $seconds
	measured "$(($(switches) - before)) wake-ups in $seconds s"
	check "none" test "$(switches)" = "$before"
	stop_monitor
}

# A device of each kind of cycle is deleted under the name that it has then.
cycle() {
	local name=rxe1
	add_rxe rxe1
	wait_event add rxe1
	case $(($1 % 3)) in
	1)
		name=other1
		rdma dev set rxe1 name $name
		wait_event rename $name 10 old rxe1
		;;
	2)
		ip link set ibc-rxe1 down
		wait_event async rxe1 10 type PORT_ERR
		ip link set ibc-rxe1 up
		wait_event async rxe1 10 type PORT_ACTIVE
		;;
	esac
	delete_rxe $name
	wait_event gone $name
}

same_fds() {
	[ "$(open_fds)" = "$1" ]
}

case_mixed_cycles() { # 900 s
	local rounds=50 warm=10 round fds memory grown
	[ "${IBC_LONG:-}" != 1 ] || rounds=500
	have_rxe rxe0
	start_monitor
	wait_event add rxe0
	for ((round = 1; round <= rounds; round++)); do
		cycle $round
		[ $round != $warm ] || {
			fds=$(open_fds)
			memory=$(resident_kb)
		}
	done
	check "fds" until_true 2 same_fds "$fds"
	grown=$(($(resident_kb) - memory))
	stop_monitor
	check "each incarnation added, removed and gone once, in this order" \
		event_json '[.[] | select(.device != "rxe0" and
			.event != "async" and .event != "rename")] |
		group_by(.incarnation) | length == $count and
		all(.[]; map(.event) == ["add", "remove", "gone"] and
			(map(.index) | unique | length) == 1)' \
		--argjson count $rounds
	check "each rename once, between add and remove" \
		event_json '[.[] | select(.device != "rxe0")] |
		group_by(.incarnation) | map(map(.event) - ["async"]) |
		map(select(index("rename"))) | length == $count and
		all(.[]; . == ["add", "rename", "remove", "gone"])' \
		--argjson count $(((rounds + 2) / 3))
	check "nothing after gone" event_json 'group_by(.incarnation) |
		map(select(.[0].device != "rxe0")) |
		all(.[]; .[-1].event == "gone" and .[0].event == "add")'
	check "rxe0 was left alone" test "$(count_events remove rxe0)" = 0
	measured "$fds fds; $memory KiB resident after $warm cycles," \
		"$grown more after $rounds"
	check "memory" test $grown -le 128
}
