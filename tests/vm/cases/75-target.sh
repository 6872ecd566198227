# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# shellcheck source=tests/vm/cases/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# The storage target on real drivers: one of its two devices is deleted under load,
# and comes again.

port=4420

# with_times FILE: what comes in, with the time before each line
with_times() {
	local line
	while IFS= read -r line; do
		echo "$(now_ms) $line"
	done >"$1"
}

# said FILE LINE [TIMES]
said() {
	[ "$(grep -c -e "^[0-9]* $2\$" "$logs/$1")" -ge "${3:-1}" ]
}

# sees FILE LINE [TIMES]: waits for that
sees() {
	until_true 30 said "$@" || {
		tail -n 20 "$logs"/*
		give_up "no '$2' from $1"
	}
}

# time_of FILE LINE: when it was said
time_of() {
	sed -n "s/^\([0-9]*\) $2\$/\1/p" "$logs/$1" | head -n 1
}

# start_initiator NAME REQUESTS ADDRESS…
start_initiator() {
	local name=$1 requests=$2
	shift 2
	iser_style_initiator "$requests" $port "$@" \
		> >(with_times "$logs/$name") 2>&1 9>&- &
	initiators+=($!)
}

# The end of the target's input is its end.
start_target() {
	local n
	command -v nvme_style_target >/dev/null || {
		echo "librdmacm was not there when this was built"
		exit 77
	}
	logs=$(mktemp -d)
	initiators=()
	have_rxe rxe0 rxe1
	for n in 0 1; do
		ip address add 10.77.$n.1/24 dev ibc-rxe$n
	done
	mkfifo "$logs/input"
	nvme_style_target $port > >(with_times "$logs/target") 2>&1 \
		<"$logs/input" &
	target=$!
	exec 9>"$logs/input"
	rm "$logs/input"
	sees target listening
}

begin_load() {
	start_initiator first 0 10.77.0.1 10.77.1.1
	start_initiator second 0 10.77.0.1 10.77.1.1
	start_initiator third 0 10.77.1.1
	start_initiator fourth 0 10.77.1.1
	sees first "10.77.0.1: connected"
	sees second "10.77.0.1: connected"
	sees third "10.77.1.1: connected"
	sees fourth "10.77.1.1: connected"
}

# The last put is the target's, or that of a client, which holds the device, too.
last_put() {
	{
		time_of target "rxe0: resources freed"
		time_of first "10.77.0.1: lost: .*"
		time_of second "10.77.0.1: lost: .*"
	} | sort -n | tail -n 1
}

ended() {
	! kill -0 "$1" 2>/dev/null
}

# who_waits PID…: for what in the kernel
who_waits() {
	local pid
	for pid in "$@" $target "${initiators[@]}"; do
		echo "$pid $(cat /proc/"$pid"/comm):"
		cat /proc/"$pid"/task/*/stack
		ls -l /proc/"$pid"/fd
	done
	dmesg | tail -n 20
	tail -n 20 "$logs"/*
}

# lose_device LAST WORDS: rxe0 goes; its clients are served by the other
lose_device() {
	local start returned name
	start=$(now_ms)
	rdma link delete rxe0 9>&- &
	until_true 3 ended $! || who_waits $!
	check "the delete ends" wait $!
	returned=$(now_ms)
	for name in first second; do
		sees "$name" "10.77.0.1: lost: $1"
		sees "$name" "10.77.1.1: connected"
	done
	sees target "rxe0: resources freed"
	sees target "rxe0: gone"
	measured "the delete returned after $((returned - start)) ms," \
		"$((returned - $(last_put))) ms after the last put"
	[ $((returned - $(last_put))) -lt 1000 ] ||
		give_up "the delete returned too late"
}

# It is served again, and nobody started anything.
return_of_device() {
	add_rxe rxe0
	start_initiator fifth 100 10.77.0.1
	sees fifth "done"
	check "the next rxe0 is served" said target "rxe0: resources made" 2
}

end_load() {
	local name
	kill -TERM "${initiators[@]:0:4}" # the fifth has ended
	for name in first second third fourth; do
		sees "$name" "done"
	done
	for name in third fourth; do
		! grep "10.77.1.1: lost" "$logs/$name" ||
			give_up "the other device's traffic stopped"
		measured "the other device: $(sed -n 's/^[0-9]* longest/longest/p' \
			"$logs/$name")"
	done
	exec 9>&-
	sees target ended
	check "the target ended well" wait "$target"
	check "all was made" said target ".*: resources made" 3
	check "all is freed" said target ".*: resources freed" 3
	check "nobody holds rxe0" timeout 10 rdma link delete rxe0
	check "nobody holds rxe1" timeout 10 rdma link delete rxe1
}

case_target_serves_on_stock() {
	start_target
	begin_load
	lose_device "Work Request Flushed Error"
	return_of_device
	end_load
}

# Its driver lets go of its users, and may flush nothing.
case_target_serves_on_patched() {
	load_patched_rxe
	start_target
	begin_load
	lose_device ".*"
	return_of_device
	end_load
}
