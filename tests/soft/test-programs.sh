#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# test-programs.sh SOFTVERBS [DIR]: unmodified ibv_devices, ibv_devinfo and
# ibv_asyncwatch on softverbs: what they print is what was configured and what
# happened. With DIR, where another release's libibverbs and programs are
# unpacked, all is done with those, too, under the same interposer, and the
# results must be the same.
set -uo pipefail

softverbs=$(readlink -f "$1")
other=${2:+$(readlink -f "$2")}
show_events=$(dirname "$softverbs")/soft_show_events
# A sanitizer's runtime would have to come before the interposer.
unset LD_PRELOAD LD_LIBRARY_PATH SOFTVERBS_DIR
export LC_ALL=C
failed=0
started=() # processes to end, whatever happens

# shellcheck source-path=SCRIPTDIR source=programs-lib.sh
. "$(dirname "$0")/programs-lib.sh"

# number, and what ibv_event_type_str(3) says
declare -A events=(
	[CQ_ERR]="0, CQ error"
	[QP_FATAL]="1, local work queue catastrophic error"
	[QP_REQ_ERR]="2, invalid request local work queue error"
	[QP_ACCESS_ERR]="3, local access violation work queue error"
	[COMM_EST]="4, communication established"
	[SQ_DRAINED]="5, send queue drained"
	[PATH_MIG]="6, path migrated"
	[PATH_MIG_ERR]="7, path migration request error"
	[DEVICE_FATAL]="8, local catastrophic error"
	[PORT_ACTIVE]="9, port active"
	[PORT_ERR]="10, port error"
	[LID_CHANGE]="11, LID change"
	[PKEY_CHANGE]="12, P_Key change"
	[SM_CHANGE]="13, SM change"
	[SRQ_ERR]="14, SRQ catastrophic error"
	[SRQ_LIMIT_REACHED]="15, SRQ limit reached"
	[QP_LAST_WQE_REACHED]="16, last WQE reached"
	[CLIENT_REREGISTER]="17, client reregistration"
	[GID_CHANGE]="18, GID table change"
	[WQ_FATAL]="19, WQ fatal"
)
port_events="PORT_ACTIVE PORT_ERR LID_CHANGE PKEY_CHANGE SM_CHANGE
	CLIENT_REREGISTER GID_CHANGE"
qp_events="QP_FATAL QP_REQ_ERR QP_ACCESS_ERR COMM_EST SQ_DRAINED PATH_MIG
	PATH_MIG_ERR QP_LAST_WQE_REACHED"

# ---- what there is ----

configure() {
	soft add a0
	soft add b0 --guid 1234:5678:9abc:def0 --ports 2 --link ib \
		--removal fatal
	soft add c0 --guid 0002:c903:0000:0011 --ports 2 --removal fatal
	soft add d0 --guid 0002:c903:0000:0022 --link ib --removal wait
	soft port b0 2 down
	soft gid a0 1 2 ::ffff:10.1.2.3
	soft gid b0 1 3 2001:db8::77
	soft gid c0 2 0 none
	soft pkey b0 2 5 0x8001
	soft pkey d0 1 0 0x7fff
}

test_devices() {
	local device guid

	run_program ibv_devices >devices
	run_program ibv_devinfo -l >list
	for device in a0 b0 c0 d0; do
		guid=$(listed "$device" .guid)
		check "ibv_devices: $device" test "${guid//:/}" = "$(awk \
			-v d="$device" '$1 == d { print $2 }' devices)"
		check "ibv_devinfo -l: $device" grep -qx "[[:space:]]$device" list
	done
	# hardware, if there is any, comes beside them
	check "ibv_devinfo -l: how many" test "$(sed -n '1s/ .*//p' list)" = \
		"$(($(bare ibv_devices | tail -n +3 | wc -l) + 4))"
	keep devices-ours grep -E '^[[:space:]]*[abcd]0[[:space:]]' devices
}

# field DEVICE[.PORT] NAME VALUE: there is this line in its part of devinfo
field() {
	check "ibv_devinfo -v: $1: $2: '$3', not '$(sed -n \
		"s/^$1 $2: //p" fields)'" grep -qFx "$1 $2: $3" fields
}

test_a0() {
	local guid
	guid=$(listed a0 .guid)

	field a0 transport "InfiniBand (0)"
	field a0 fw_ver 1.0.0
	field a0 node_guid "$guid"
	field a0 sys_image_guid "$guid"
	field a0 vendor_id 0x5356
	field a0 phys_port_cnt 1
	field a0.1 state "PORT_ACTIVE (4)"
	field a0.1 phys_state "LINK_UP (5)"
	field a0.1 link_layer Ethernet
	field a0.1 port_lid 0
	field a0.1 'GID[0]' "$(listed a0 '.ports[0].gids[0]'), RoCE v2"
	field a0.1 'GID[2]' "::ffff:10.1.2.3, RoCE v2"
}

test_ib() {
	field b0 node_guid 1234:5678:9abc:def0
	field b0 phys_port_cnt 2
	field b0.1 state "PORT_ACTIVE (4)"
	field b0.2 state "PORT_DOWN (1)"
	field b0.2 phys_state "DISABLED (3)"
	field b0.1 link_layer InfiniBand
	field b0.2 link_layer InfiniBand
	field b0.1 pkey_tbl_len 16
	field b0.1 gid_tbl_len 16
	field b0.1 'GID[0]' fe80:0000:0000:0000:1234:5678:9abc:def0
	field b0.1 'GID[3]' 2001:0db8:0000:0000:0000:0000:0000:0077
	field b0.2 'GID[0]' fe80:0000:0000:0000:1234:5679:9abc:def0
	field d0 node_guid 0002:c903:0000:0022
	field d0 phys_port_cnt 1
	field d0.1 state "PORT_ACTIVE (4)"
	field d0.1 link_layer InfiniBand
	check "lids of b0 and d0 differ" test 3 = "$(grep -E \
		'^[bd]0.* port_lid: [1-9]' fields | cut -d ' ' -f 3 | sort -u |
		wc -l)"
}

test_devinfo() {
	local device

	run_program ibv_devinfo -v >verbose
	check "ibv_devinfo -v: its status" test $? = 0
	fields verbose >fields
	test_a0
	test_ib
	field c0 node_guid 0002:c903:0000:0011
	field c0.2 link_layer Ethernet
	check "c0: no GID at port 2" test 0 = "$(grep -c '^c0.2 GID' fields)"
	check "c0: one GID at port 1" test 1 = "$(grep -c '^c0.1 GID' fields)"
	check "ibv_devinfo -v knows every value" \
		test -z "$(grep -E '^[abcd]0.*(unknown|invalid|: -)' fields)"

	run_program ibv_devinfo >short
	fields short | grep '^[abcd]0' >short-fields
	check "ibv_devinfo says nothing that -v does not" \
		test -z "$(grep -vFxf fields short-fields)"
	check "ibv_devinfo: ports" test 6 = "$(grep -c ' state: ' short-fields)"
	for device in a0 b0 c0 d0; do
		run_program ibv_devinfo -v -d $device >one
		check "ibv_devinfo -d $device: it alone" \
			test "$(grep -c ^hca_id: one)" = 1
		keep "devinfo-$device" without_new_lines one
	done
}

test_one_port() {
	run_program ibv_devinfo -d b0 -i 2 >one
	check "ibv_devinfo -i 2: its status" test $? = 0
	fields one >fields-one
	check "ibv_devinfo -i 2: the port" \
		grep -qFx "b0.2 state: PORT_DOWN (1)" fields-one
	check "ibv_devinfo -i 2: it alone" \
		test "$(grep -c ' state: ' fields-one)" = 1
	keep devinfo-port cat one
	check "ibv_devinfo -i 3 fails" not run_program ibv_devinfo -d b0 -i 3
	check "ibv_devinfo -d nobody fails" not run_program ibv_devinfo \
		-d nobody
	soft port b0 2 up
	run_program ibv_devinfo -d b0 -i 2 >one
	check "ibv_devinfo: the port is up" grep -q PORT_ACTIVE one
	soft port b0 2 down
}

# ---- what happens ----

# sent DEVICE TYPE [PORT]: injects it; asyncwatch is to print it
sent() {
	soft event "$1" "$2" ${3:+--port "$3"}
	printed "$2" "${3:-0}"
}

# printed TYPE PORT [TIMES]
printed() {
	local i
	for ((i = 0; i < ${3:-1}; i++)); do
		echo "  event_type IBV_EVENT_$1 (${events[$1]%%,*}), port $2"
	done >>expected
}

test_watch() {
	local type port

	soft add w0 --ports 2 --removal wait --guid 0002:c903:0000:0033
	start_watch w0 out
	echo "w0: async event FD N" >expected
	loaded "$pid"
	check "asyncwatch: its context" test "$(listed w0 .contexts[].pid)" = "$pid"
	sent w0 DEVICE_FATAL
	for port in 1 2; do
		for type in $port_events; do
			sent w0 "$type" $port
		done
	done
	soft event w0 LID_CHANGE --count 100 --port 2
	printed LID_CHANGE 2 100
	soft port w0 2 down
	printed PORT_ERR 2
	soft port w0 2 up
	printed PORT_ACTIVE 2
	soft gid w0 1 4 fe80::1
	printed GID_CHANGE 1
	soft pkey w0 2 1 0x1234
	printed PKEY_CHANGE 2
	soft rename w0 w1
	sent w1 SM_CHANGE 1
	watched out
	check "asyncwatch: its context has the device's new name" \
		test "$(listed w1 .contexts[].pid)" = "$pid"
	end_process TERM
	check "asyncwatch ended: no context" test -z "$(listed w1 .contexts[])"
	soft remove w1
	keep watch same out
}

test_pid() {
	local first

	soft add w0
	start_watch w0 out-first
	first=$pid
	start_watch w0 out-second
	check "two contexts" test "$(listed w0 .contexts[].pid | sort)" = \
		"$(printf '%s\n' "$first" "$pid" | sort)"
	soft event w0 PORT_ERR --pid "$first" --count 3
	check "--pid of no watcher fails" not "$softverbs" event w0 PORT_ERR \
		--pid $$
	soft event w0 SM_CHANGE
	echo "w0: async event FD N" >expected
	printed SM_CHANGE 1
	watched out-second
	echo "w0: async event FD N" >expected
	printed PORT_ERR 1 3
	printed SM_CHANGE 1
	watched out-first
	end_process KILL
	check "one is killed: one context" \
		test "$(listed w0 .contexts[].pid)" = "$first"
	pid=$first
	end_process TERM
	soft remove w0
}

test_remove_fatal() {
	soft add w0 --removal fatal
	start_watch w0 out
	soft remove w0
	await_end "$pid"
	check "fatal: asyncwatch ends with 1" test $? = 1
	echo "w0: async event FD N" >expected
	printed DEVICE_FATAL 0
	watched out
	keep remove-fatal same out
}

# Timed out: off the list, its name taken. Without a limit: returns with the end
# of the program, here by a signal that it cannot see.
test_remove_wait() {
	local watch remove

	soft add w0 --removal wait
	start_watch w0 out
	check "wait: --timeout 1 fails" not "$softverbs" remove w0 --timeout 1
	check "wait: it is off the list" test -z "$(listed w0 .device)"
	check "wait: its name is taken" not "$softverbs" add w0
	check "wait: asyncwatch is there" kill -0 "$pid"
	end_process TERM
	echo "w0: async event FD N" >expected
	watched out
	soft add w0 --removal wait
	start_watch w0 out
	watch=$pid
	"$softverbs" remove w0 &
	remove=$!
	started+=("$remove")
	wait_for "w0 is off the list" unlisted w0
	check "wait: remove waits" kill -0 "$remove"
	pid=$watch
	end_process KILL
	await_end "$remove"
	check "wait: remove returns 0" test $? = 0
	watched out
	keep remove-wait same out
}

# told TYPE ELEMENT: show_events is to print it
told() {
	echo "event ${events[$1]}, $2" >>expected
}

send_to_objects() {
	local type object i

	for type in $qp_events CQ_ERR SRQ_ERR SRQ_LIMIT_REACHED WQ_FATAL; do
		case $type in
		CQ*) object=cq ;;
		SRQ*) object=srq ;;
		WQ*) object=wq ;;
		*) object=qp ;;
		esac
		soft event w0 "$type" --$object "$(number_of $object)"
		told "$type" $object
	done
	for type in $port_events; do
		soft event w0 "$type" --port 1
		told "$type" "port 1"
	done
	soft event w0 QP_FATAL --qp "$(number_of qp)" --count 100 --pid "$pid"
	for ((i = 0; i < 100; i++)); do
		told QP_FATAL qp
	done
	soft event w0 DEVICE_FATAL
	told DEVICE_FATAL "port 0"
}

# number_of KIND: as show_events printed it
number_of() {
	sed -n "s/^$1 //p" out
}

test_objects() {
	local object

	soft add w0 --removal fatal --guid 0002:c903:0000:0044
	soft pkey w0 1 7 0x8003
	start_program out '^ready$' "$show_events" w0
	sed '/^ready$/q' out >expected
	check "P_Key 0" grep -qx "pkey 1 0 0xffff" out
	check "P_Key 7" grep -qx "pkey 1 7 0x8003" out
	for object in qp cq srq wq; do
		check "list -j: the $object" test "$(number_of $object)" = \
			"$(listed w0 ".contexts[].${object}s[]")"
	done
	send_to_objects
	watched out
	soft remove w0
	told DEVICE_FATAL "port 0"
	printf '%s\n' "no more events: Input/output error" closed >>expected
	await_end "$pid"
	check "objects of a removed device are destroyed" test $? = 0
	watched out
	keep objects same out
	# and with all there: the acknowledged events do not hold it up
	start_program out '^ready$' "$show_events" d0
	check "P_Key 0 of d0" grep -qx "pkey 1 0 0x7fff" out
	end_process TERM
	check "show_events ended by itself" grep -qx closed out
}

# the other way on: softverbs run
test_run() {
	"$softverbs" run -n 2 --removal fatal -- "${launch[@]}" \
		"$bin/ibv_devices" >out
	check "run: ibv_devices" test "soft0 soft1" = \
		"$(awk '$1 ~ /^soft/ { print $1 }' out | xargs)"
	# shellcheck disable=SC2016 # it expands them
	timeout 120 "$softverbs" run -- bash -c '
		softverbs=$1; shift
		"$@" >out & watch=$!
		until grep -q FD out; do kill -0 $watch || exit 1; done
		"$softverbs" port soft0 1 down
		"$softverbs" remove soft0 --timeout 1 2>/dev/null && exit 2
		until grep -q PORT_ERR out; do kill -0 $watch || exit 3; done
		kill $watch; wait $watch; :' \
		- "$softverbs" "${launch[@]}" "$bin/ibv_asyncwatch" -d soft0
	check "run: ibv_asyncwatch (status $?)" test $? = 0
	echo "soft0: async event FD N" >expected
	printed PORT_ERR 1
	watched out
}

# ---- all of it ----

test_all() {
	mkdir "$tmp/$kind" && cd "$tmp/$kind" || exit 1
	test_devices
	test_devinfo
	test_one_port
	test_watch
	test_pid
	test_remove_fatal
	test_remove_wait
	test_objects
	test_run
	check "no context is left" test -z \
		"$("$softverbs" list -j | jq -c '.contexts[]')"
	echo "$kind: $(tr '\n' ' ' <loaded): $failed failures"
}

begin
configure
use_system
test_all
if [ -n "$other" ]; then
	use_other "$other"
	test_all
	compare system other
fi
[ $failed = 0 ] && echo "programs of libibverbs: ok"
exit $((failed > 0))
