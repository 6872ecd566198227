# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
#
# What cases share: rxe devices, a running ibc_monitor, and waiting.

give_up() {
	echo "$*" >&2
	exit 1
}

# check WHAT COMMAND…: the case ends here if the command fails.
check() {
	local what=$1
	shift
	"$@" || give_up "not so: $what ($*)"
}

measured() {
	echo "measured: $*"
}

now_ms() {
	local t=$EPOCHREALTIME
	echo "$((${t%[.,]*} * 1000 + 10#${t#*[.,]} / 1000))"
}

median() {
	printf '%s\n' "$@" | sort -n | sed -n "$((($# + 1) / 2))p"
}

# until_true SECONDS COMMAND…: asks again and again until it is so.
until_true() {
	local end=$(($(now_ms) + $1 * 1000))
	shift
	until "$@"; do
		[ "$(now_ms)" -lt $end ] || return 1
		sleep 0.02
	done
}

# In front of a command; no function, so that a signal reaches the command.
# shellcheck disable=SC2034 # the cases use it
as_nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)

# --- devices

load_rxe() {
	modprobe -a rdma_rxe rdma_ucm ib_umad
}

make_netdev() {
	ip link show "$1" >/dev/null 2>&1 || {
		ip link add "$1" type dummy
		ip link set "$1" up
	}
}

# add_rxe NAME: on a network device ibc-NAME, made if need be.
add_rxe() {
	make_netdev "ibc-$1"
	rdma link add "$1" type rxe netdev "ibc-$1"
}

# One device that is there from the beginning: its event tells that the
# monitor watches.
have_rxe() {
	local name
	load_rxe
	for name in "$@"; do
		add_rxe "$name"
	done
}

delete_rxe() {
	rdma link delete "$1"
}

# load_built FILE MODULE: a driver of build-modules, in the place of a stock one
# of the same name. The runner unloads it after the case.
load_built() {
	case ${IBC_VM_MODULES:-} in
	"")
		echo "$1 is missing: apt has no headers or no source of this kernel"
		exit 77
		;;
	failed) give_up "build-modules failed" ;;
	esac
	modprobe -a ib_uverbs rdma_ucm ib_umad iw_cm udp_tunnel ip6_udp_tunnel \
		libcrc32c crc32c_generic
	[ ! -e "/sys/module/$2" ] || rmmod "$2"
	touch "$IBC_RUN/built-$2"
	insmod "$IBC_VM_MODULES/$1"
}

# rxe that lets go of its users, as mlx5 does.
load_patched_rxe() {
	load_built rdma_rxe_dis.ko rdma_rxe
}

# What the kernel says, as "index guid".
kernel_identity() {
	rdma -j -d dev show "$1" |
		jq -r '.[] | "\(.ifindex) \(.node_guid | gsub(":"; ""))"'
}

# --- a monitor, and what it printed

monitor=
events=()
seen=0
errors=

# start_monitor [BEFORE… --] [ARG…]: BEFORE is put in front of the command.
start_monitor() {
	local before=() word
	for word in "$@"; do
		if [ "$word" = -- ]; then
			while [ "$1" != -- ]; do
				before+=("$1")
				shift
			done
			shift
			break
		fi
	done
	start_program "${before[@]}" ibc_monitor -j "$@"
}

# start_program COMMAND…: something that prints lines as ibc_monitor does, and
# takes its place in all that follows.
start_program() {
	local pipe
	pipe=$(mktemp -u)
	errors=$(mktemp)
	mkfifo "$pipe"
	"$@" >"$pipe" 2>"$errors" &
	monitor=$!
	exec {monitor_fd}<"$pipe"
	rm "$pipe"
	events=()
	seen=0
}

# Waits for one more line; false when none came in SECONDS or it has ended.
next_line() {
	local line
	IFS= read -r -t "$1" -u "$monitor_fd" line || return 1
	events+=("$line")
	echo "monitor: $line"
}

# line_has LINE KEY VALUE: as jq would say it, without starting one for each
# line; compact JSON and spacious JSON are the same.
line_has() {
	[[ ${1//: /:} == *"\"$2\":\"$3\""* ]]
}

# wait_event EVENT DEVICE [SECONDS [KEY VALUE]]: the next such event, counted
# from the one that was found before. It is left in $event.
wait_event() {
	local end=$(($(now_ms) + ${3:-10} * 1000)) left
	while :; do
		while [ "$seen" -lt ${#events[@]} ]; do
			event=${events[seen]}
			seen=$((seen + 1))
			if line_has "$event" event "$1" &&
			   line_has "$event" device "$2" &&
			   { [ $# -lt 5 ] || line_has "$event" "$4" "$5"; }; then
				return 0
			fi
		done
		left=$((end - $(now_ms)))
		if [ $left -le 0 ] || ! next_line "$((left / 1000)).$(
			printf '%03d' $((left % 1000)))"; then
			cat "$errors"
			give_up "no '$1' of $2 ${4:+with $4=$5 }in ${3:-10} s"
		fi
	done
}

# Reads what is left; the monitor has ended or ends now.
rest_of_events() {
	while next_line 10; do :; done
}

# stop_monitor [SIGNAL]: it must end well.
stop_monitor() {
	local status=0
	kill "-${1:-TERM}" "$monitor"
	rest_of_events
	wait "$monitor" || status=$?
	[ $status = 0 ] || {
		cat "$errors"
		give_up "ibc_monitor ended with status $status"
	}
}

# event_json FILTER [JQ-OPTION…]: over the array of all events so far.
event_json() {
	local filter=$1
	shift
	printf '%s\n' "${events[@]}" | jq -s -e "$@" "$filter"
}

count_events() {
	event_json "[.[] | select(.event == \"$1\" and .device == \"$2\")] |
		length" || true
}

# ask_dump FILTER: asks the monitor for ibc_dump(), once, and whether the
# newest answer passes the filter.
ask_dump() {
	kill -USR1 "$monitor"
	grep '^{' "$errors" | tail -n 1 | jq -e "$1" >/dev/null 2>&1
}

open_fds() {
	find "/proc/$monitor/fd" -mindepth 1 -maxdepth 1 | wc -l
}

resident_kb() {
	awk '$1 == "VmRSS:" { print $2 }' "/proc/$monitor/status"
}
