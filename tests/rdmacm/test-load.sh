#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck disable=SC2154,SC2034 # the library's variables
#
# test-load.sh SOFTVERBS TARGET LOAD PRELOAD: the storage target with a thousand
# connections over four devices, of which one goes and comes again all the time. In
# each round every connection is served by what is left, and then by all four.
#
# IBC_LOAD_SECONDS: rounds are begun for so long; there are four at least.
# IBC_LOAD_CONNECTIONS: 1,000
set -uo pipefail

softverbs=$(readlink -f "$1") || exit 1
target=$(readlink -f "$2") || exit 1
load=$(readlink -f "$3") || exit 1
preload=$4
# shellcheck source=tests/soft/command-lib.sh
. "$(dirname "$0")/../soft/command-lib.sh"
command=$softverbs
port=4421
connections=${IBC_LOAD_CONNECTIONS:-1000}
log=$temp/target
said=$temp/load
served=0
ulimit -Sn "$(ulimit -Hn)"

has_lines() {
	[ "$(grep -cxF -e "$2" "$1")" -ge "$3" ]
}

# has_lines, or there will be no more
decided() {
	local pid
	for pid in "${pids[@]}"; do
		! ended "$pid" || return 0
	done
	has_lines "$@"
}

# sees FILE LINE TIMES
sees() {
	wait_for decided "$@" && has_lines "$@" && return
	complain "not $3 times '$2'"
	tail -n 20 "$log" "$said"
	finish load
}

# Its devices are of two kinds: who waits for its users, and who does not.
make_devices() {
	local n removal
	SOFTVERBS_CM=
	for n in 0 1 2 3; do
		removal[n]=$([ $((n % 2)) = 0 ] && echo wait || echo fatal)
		right add "soft$n" --removal "${removal[n]}"
		SOFTVERBS_CM+=" 10.0.0.$((n + 1))=soft$n"
	done
	kinds=("${removal[@]}")
	export SOFTVERBS_CM=${SOFTVERBS_CM# }
}

start_programs() {
	mkfifo "$temp/target.in" "$temp/load.in" || exit 1
	: >"$log"
	: >"$said"
	on_fabric "$target" $port <"$temp/target.in" >"$log" 2>&1 &
	pids=($!)
	exec 3>"$temp/target.in"
	sees "$log" listening 1
	on_fabric "$load" $port "$connections" 10.0.0.{1..4} <"$temp/load.in" \
		>"$said" 2>&1 3>&- &
	pids+=($!)
	exec 4>"$temp/load.in"
}

# every connection has had an answer since this was called
all_are_served() {
	served=$((served + 1))
	echo check >&4
	sees "$said" served $served
}

one_round() {
	local name=soft$1
	right remove "$name" --timeout 60000
	sees "$log" "$name: gone" $(($2 + 1))
	all_are_served
	right add "$name" --removal "${kinds[$1]}"
	all_are_served
}

# Of each device: made once, freed, and gone, in that order, and from the beginning
# again. One that was there for too short a time for anybody to come is only gone.
check_incarnations() {
	local wrong
	wrong=$(awk '
		{ sub(":", "", $1) }
		/resources made$/ { if (made[$1]++) print "made twice: " $1 }
		/resources freed$/ { if (--made[$1]) print "freed twice: " $1 }
		/ gone$/ { if (made[$1]) print "gone before it was freed: " $1 }
		END { for (name in made) if (made[name]) print "left: " name }
	' "$log")
	[ -z "$wrong" ] || complain "$wrong"
}

# ends_well PID NAME LOG
ends_well() {
	await_end "$1" || complain "$2: status $?: $(tail -n 20 "$3")"
}

make_devices
start_programs
all_are_served
rounds=0
until [ $rounds -ge 4 ] && [ $SECONDS -ge "${IBC_LOAD_SECONDS:-0}" ]; do
	one_round $((rounds % 4)) $((rounds / 4))
	rounds=$((rounds + 1))
done
exec 4>&-
ends_well "${pids[1]}" "the clients" "$said"
exec 3>&-
ends_well "${pids[0]}" "the target" "$log"
pids=()
check_incarnations
for n in 0 1 2 3; do
	right remove "soft$n" --timeout 60000
done
echo "$rounds rounds in $SECONDS s: $(tail -n 1 "$said")"
finish load
