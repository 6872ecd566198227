#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck disable=SC2154,SC2034 # the library's variables
#
# test-loops.sh SOFTVERBS PROGRAM: one of the loop examples among devices that
# come, change and go, and how it ends.
set -uo pipefail

softverbs=$(readlink -f "$1") || exit 1
program=$(readlink -f "$2") || exit 1
# shellcheck source=tests/soft/command-lib.sh
. "$(dirname "$0")/command-lib.sh"
command=$softverbs
unset IBC_LOG_LEVEL IBC_LOG_FILE IBC_SOURCES
log=$temp/log

# start: the program, with an input that lasts until fd 3 is closed
start() {
	rm -f "$temp/input"
	mkfifo "$temp/input" || exit 1
	: >"$log"
	on_fabric "$program" <"$temp/input" >"$log" 2>&1 &
	pid=$!
	pids=("$pid")
	exec 3>"$temp/input"
}

# sees LINE…: each in the program's output, some time
sees() {
	local line
	for line in "$@"; do
		wait_for has_line "$log" "$line"
	done
}

# ends_well: all was told, in pairs, and nothing is left in the fabric
ends_well() {
	await_end "$pid" || complain "${program##*/}: status $?: $(cat "$log")"
	pids=()
	exec 3>&-
	[ "$(grep -c '^add ' "$log")" = "$(grep -c '^remove ' "$log")" ] ||
		complain "not a remove for each add: $(cat "$log")"
	[ -z "$(sort "$log" | grep -E '^(add|remove|gone) ' | uniq -d)" ] ||
		complain "told twice: $(cat "$log")"
	call 0 list -j
	json 'all(.[]; .contexts == [])'
}

right add early
start
sees 'add early'
right add wait --removal wait
right add fatal --removal fatal
sees 'add wait' 'add fatal'
right event early PORT_ERR --port 1
sees 'event early 10 element 1'
right rename early late
sees 'rename early late'
# busy: what comes in between is told before remove()
right event wait SM_CHANGE --port 1 --count 1000
right remove wait --timeout 60000
sees 'event wait 13 element 1' 'remove wait' 'gone wait'
right remove fatal --timeout 60000
sees 'remove fatal' 'gone fatal'
echo text >&3
right add last
sees 'add last'
kill -TERM "$pid"
ends_well
grep -qxF 'remove late' "$log" || complain "no remove late: $(cat "$log")"

# the end of input is another end
start
sees 'add late' 'add last'
exec 3>&-
ends_well

finish "${program##*/}"
