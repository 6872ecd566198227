# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# shellcheck source=tests/vm/cases/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# ibc_monitor: what comes, goes and happens, through the kernel's own commands.

case_add_within_200_ms() {
	local round start took=()
	have_rxe rxe0
	start_monitor
	wait_event add rxe0
	for round in 1 2 3 4 5; do
		add_rxe rxe1
		start=$(now_ms)
		wait_event add rxe1
		took+=("$(($(now_ms) - start))")
		delete_rxe rxe1
		wait_event gone rxe1
	done
	stop_monitor
	measured "add after ${took[*]} ms, median $(median "${took[@]}")"
	check "median of $round adds" test "$(median "${took[@]}")" -le 200
}

case_add_tells_who() {
	local index guid
	have_rxe rxe0
	start_monitor
	wait_event add rxe0
	add_rxe rxe1
	wait_event add rxe1
	read -r index guid < <(kernel_identity rxe1)
	check "identity" jq -e --argjson index "$index" --arg guid "$guid" \
		'.index == $index and (.incarnation | type == "number") and
		 (.time | type == "number") and
		 (.guid | ltrimstr("0x") | gsub(":"; "")) == $guid' <<<"$event"
	stop_monitor
}

case_delete_prints_remove_then_gone_and_returns() {
	local round start took=()
	have_rxe rxe0
	start_monitor
	wait_event add rxe0
	for round in 1 2 3 4 5; do
		add_rxe rxe1
		wait_event add rxe1
		start=$(now_ms)
		delete_rxe rxe1
		took+=("$(($(now_ms) - start))")
		wait_event remove rxe1
		wait_event gone rxe1
	done
	check "nothing happened to rxe0" test "$(count_events remove rxe0)" = 0
	stop_monitor
	measured "delete returned after ${took[*]} ms," \
		"median $(median "${took[@]}")"
	check "median of $round deletes" \
		test "$(median "${took[@]}")" -le 1000
}

case_hold_delays_the_delete() {
	local start took delete
	have_rxe rxe0
	start_monitor --hold 2000
	wait_event add rxe0
	add_rxe rxe1
	wait_event add rxe1
	start=$(now_ms)
	delete_rxe rxe1 &
	delete=$!
	wait_event remove rxe1
	check "client and reference count are in the dump" until_true 1 \
		ask_dump '.devices[] | select(.name == "rxe1" and
			(.state | ascii_downcase) == "draining") |
			any(.clients[]; .refs >= 1)'
	check "the delete still waits" test -e /proc/$delete
	wait $delete
	took=$(($(now_ms) - start))
	wait_event gone rxe1
	stop_monitor
	measured "delete returned after $took ms"
	check "about two seconds" test $took -ge 1900 -a $took -le 3500
}

case_rename() {
	have_rxe rxe0 rxe1
	start_monitor
	wait_event add rxe1
	rdma dev set rxe1 name other1
	wait_event rename other1 10 old rxe1
	check "same incarnation, no remove" event_json \
		'[.[] | select(.index == $index)] |
		 (map(.incarnation) | unique | length) == 1 and
		 all(.[]; .event != "remove")' \
		--argjson index "$(jq .index <<<"$event")"
	delete_rxe other1
	wait_event remove other1
	wait_event gone other1
	stop_monitor
}

case_port_down_and_up_are_async() {
	have_rxe rxe0 rxe1
	start_monitor
	wait_event add rxe0
	wait_event add rxe1
	ip link set ibc-rxe1 down
	wait_event async rxe1 10 type PORT_ERR
	check "its port" jq -e '.port == 1 and .count >= 1' <<<"$event"
	ip link set ibc-rxe1 up
	wait_event async rxe1 10 type PORT_ACTIVE
	check "the other device is silent" event_json \
		'all(.[]; .device != "rxe0" or .type != "PORT_ERR")'
	stop_monitor
}

case_deleted_netdev_takes_the_device_along() {
	have_rxe rxe0 rxe1
	start_monitor
	wait_event add rxe0
	wait_event add rxe1
	ip link delete ibc-rxe1
	wait_event remove rxe1
	wait_event gone rxe1
	stop_monitor
}

case_named_devices_only() {
	have_rxe rxe0 rxe1
	start_monitor 'rxe1'
	wait_event add rxe1
	delete_rxe rxe0
	delete_rxe rxe1
	wait_event gone rxe1
	stop_monitor
	check "nothing of rxe0" event_json 'all(.[]; .device != "rxe0")'
}

case_sigterm_ends_it() {
	have_rxe rxe0
	start_monitor
	wait_event add rxe0
	stop_monitor TERM
	start_monitor
	wait_event add rxe0
	stop_monitor INT
	delete_rxe rxe0
}

# A monitor that holds a device back must still let go when it is told to end.
case_sigterm_while_it_holds() {
	local delete start
	have_rxe rxe0
	start_monitor --hold 40000
	wait_event add rxe0
	delete_rxe rxe0 &
	delete=$!
	wait_event remove rxe0
	start=$(now_ms)
	stop_monitor TERM
	wait $delete
	check "long before the hold is over" \
		test "$(($(now_ms) - start))" -lt 10000
}

case_killed_monitor_frees_the_delete() {
	local delete
	have_rxe rxe0
	start_monitor --hold 40000
	wait_event add rxe0
	delete_rxe rxe0 &
	delete=$!
	wait_event remove rxe0
	kill -KILL "$monitor"
	wait $delete
}

case_timeout_and_exit_on() {
	local start
	have_rxe rxe0
	start=$(now_ms)
	ibc_monitor -t 1
	check "-t 1" test "$(($(now_ms) - start))" -ge 900
	start_monitor --exit-on remove
	wait_event add rxe0
	delete_rxe rxe0
	wait_event remove rxe0
	check "--exit-on remove" wait "$monitor"
}
