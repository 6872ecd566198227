#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck disable=SC2154,SC2317 # set by command-lib.sh, called by wait_for
#
# test-top.sh SOFTVERBS IBC_TOP HOLDER: what ibc_top prints of a program whose device
# is removed while it holds a reference, and what it shows on a terminal of tmux.
set -uo pipefail

softverbs=$(readlink -f "$1") || exit 1
top=$(readlink -f "$2") || exit 1
holder=$(readlink -f "$3") || exit 1
# shellcheck source=tests/soft/command-lib.sh
. "$(dirname "$0")/command-lib.sh"
if ! command -v tmux >/dev/null; then
	echo "tmux is not installed"
	exit 77
fi
unset IBC_LOG_LEVEL IBC_LOG_FILE TMUX COLUMNS
export LC_ALL=C.UTF-8 SHELL=/bin/sh IBC_STATUS_DIR=$temp/status
command=$top

# ---- options ----

for option in --help -h --hel; do
	prints '^usage: ibc_top ' $option
	prints '^Exit status: 0, 1 ' $option
done
prints '^ibc_top (libibclient) [0-9]*\.[0-9]*\.[0-9]*$' --version
wrong '--bogus: no such option' --bogus
wrong '-Z: no such option' -bZ
wrong '--batch=x: it takes no value' --batch=x
for option in -d --delay -n --count --dir; do
	wrong 'a value is missing' $option
done
for time in '' x -1 0 0.01 1x 1e9 nan inf '1 '; do
	wrong '-d: not a time' -d "$time"
done
for count in '' x -1 0 1x 1.5 99999999999; do
	wrong '-n: not a number' -n "$count"
done
for pid in x 0 1x -1; do
	wrong "PID: not a process id" -b -- "$pid"
done
wrong '--dir: it is empty' --dir ''

# ---- nobody to look at ----

fails "^ibc_top: $temp/status: no process .* IBC_STATUS_DIR=$temp/status" -b
fails "^ibc_top: $temp/status: no process " -j -n 1
fails '^ibc_top: terminal: there is none: use -b or -j'
fails "^ibc_top: $temp/other: no process " -b --dir "$temp/other"
(
	unset IBC_STATUS_DIR
	fails "^ibc_top: /tmp/ibclient-$UID: no process " -b
	XDG_RUNTIME_DIR=$temp/run
	export XDG_RUNTIME_DIR
	fails "^ibc_top: $temp/run/ibclient: no process " -b
	exit $failed
) || failed=$((failed + 1))
fails "Not a directory" -b --dir /dev/null

# ---- a program that holds references ----

mkfifo "$temp/in" || exit 1
# start_holder: its input stays open as descriptor 7
start_holder() {
	(IBC_TRACK_REFS=1 on_fabric "$holder" <"$temp/in" >"$temp/holder.out") &
	pid=$!
	pids+=("$pid")
	exec 7>"$temp/in"
}

"$softverbs" add soft0 && "$softverbs" add soft1 || exit 1
start_holder
wait_for has_line "$temp/holder.out" "has soft0"
wait_for has_line "$temp/holder.out" "has soft1"
[ -S "$temp/status/$pid-0.sock" ] || complain "no socket: $(ls "$temp/status")"

row() {
	grep -qE -e "$1" <<<"$out" || complain "no row '$1' in: $out"
}
narrow() {
	! grep -qE '.{81}' <<<"$out" || complain "more than 80 columns: $out"
}
prints '  1 process  2 devices  4 refs  0 hanging$' -b -n 1
row "^ +$pid top_holder +2 +1 +4 +- +- +- ok$"
row "^ +$pid soft0 +live +>[0-9]+s hölder\\?\\[31m +yes +2 keep_for_ever$"
row "^ +$pid soft1 +live +>[0-9]+s hölder"
narrow
prints '^events 0\.0/s  adds 0\.0/s  removes 0\.0/s$' -b -n 2 -d 0.1
[ "$(grep -c '^ibc_top ' <<<"$out")" = 2 ] || complain "not two looks: $out"
row "^ +$pid top_holder +2 +1 +4 +0\.0 +0\.0 +0\.0 ok$"
prints '  1 process  ' -b -n 1 "$pid"
fails '^ibc_top: PID: none of these processes ' -b 1
call 0 -j -n 1
json 'length == 1 and .[0].answers and .[0].registry == 0 and .[0].rates == null
	and .[0].hanging == [] and (.[0].dump.devices | length) == 2
	and .[0].program == "top_holder"'
json ".[0].pid == $pid"

# in a locale without such letters, and narrow
out=$(LC_ALL=C "$top" -b -n 1)
row " h\\?lder\\?\\[31m "
out=$(COLUMNS=30 "$top" -b -n 1)
! grep -qE '.{31}' <<<"$out" || complain "more than 30 columns: $out"

# ---- names of processes that ended ----

# bound() N: as one that nobody listens at any more
mv "$temp/status/$pid-0.sock" "$temp/kept"
cp -a "$temp/kept" "$temp/status/1-0.sock" 2>/dev/null ||
	complain "cp -a of a socket"
mv "$temp/kept" "$temp/status/$pid-0.sock"
prints '  1 process  ' -b -n 1
[ -S "$temp/status/1-0.sock" ] || complain "a fresh name was cleared away"
touch -d '1 minute ago' "$temp/status/1-0.sock"
prints '  1 process  ' -b -n 1
[ ! -e "$temp/status/1-0.sock" ] || complain "an old name is still there"
: >"$temp/status/2-0.sock"
: >"$temp/status/else"
prints '  1 process  ' -b -n 1
[ -e "$temp/status/2-0.sock" ] || complain "a file that is none of ours went"
rm "$temp/status/2-0.sock" "$temp/status/else"

# ---- the terminal ----

mux() {
	TMUX_TMPDIR=$temp tmux -u -L top -f /dev/null "$@" 7>&-
}
screen() {
	mux capture-pane -p -t top 2>/dev/null
}
shows() {
	screen | grep -qE -e "$1"
}
shows_not() {
	! shows "$1" && [ -n "$(screen)" ]
}
# shown PATTERN: comes to be
shown() {
	wait_for shows "$1" || screen
}
not_shown() {
	wait_for shows_not "$1" || screen
}
end_mux() {
	mux kill-server 2>/dev/null
	clean_up
}
trap end_mux EXIT

# the shell shows what the program leaves behind it
mux new-session -d -s top -x 80 -y 24 "PS1=ready: exec sh -i" || exit 1
mux set-option -g remain-on-exit on
shown '^ready:'
mux send-keys -t top -l "'$top' -d 0.2; echo status=\$?"
mux send-keys -t top Enter
shown "^ibc_top .* 1 process  2 devices  4 refs  0 hanging"
shown '^events .* every 0\.2s  sort state  h help'
shown '^ +PID PROGRAM +DEVICES CLIENTS +REFS EVENTS/S ADDS/S REMOVES/S STATE'
shown "^ +$pid top_holder +2 +1 +4 +0\.0 +0\.0 +0\.0 ok"
shown '^ +PID DEVICE +STATE +FOR CLIENT +DATA +REFS HELD BY'
shown "^ +$pid soft0 +live .* hölder\\?\\[31m +yes +2 keep_for_ever"
# a rate is shown until the next look only: so long as it is not seen, more come
events_show() {
	"$softverbs" event soft0 LID_CHANGE --port 1 --count 50 &&
		shows "^ +$pid top_holder +2 +1 +4 +[1-9][0-9.]* "
}
wait_for events_show || screen

# the removal waits for the holder, and is the first row
"$softverbs" remove soft1 --timeout 1 2>/dev/null
shown "^ibc_top .* 1 hanging"
shown "^ +$pid top_holder .* HANGS$"
shown "^ +$pid soft1 +DRAINING +[0-9]+s hölder.* yes +1 keep_for_ever$"
first=$(screen | grep -A 1 '^ *PID DEVICE' | tail -n 1)
[[ $first == *" soft1 "*DRAINING* ]] || complain "not the first row: $first"
[ -z "${IBC_TOP_SCREEN:-}" ] || screen >"$IBC_TOP_SCREEN"
[ "$(screen | wc -l)" = 24 ] || complain "not 24 lines: $(screen)"

# keys
mux send-keys -t top Down Enter
shown "^process $pid, registry 0: top_holder"
shown '^device soft1: draining for '
shown '^ +held by keep_for_ever\+0x[0-9a-f]+: 1, in /'
mux send-keys -t top Enter
shown '^ibc_top '
mux send-keys -t top Up Enter
shown '^libibclient [0-9]'
mux send-keys -t top Down
not_shown "^process $pid"
mux send-keys -t top Up Up Escape
shown '^ibc_top '
mux send-keys -t top s
shown ' sort references '
shown '^ +PID DEVICE'
first=$(screen | grep -A 1 '^ *PID DEVICE' | tail -n 1)
[[ $first == *" soft0 "* ]] || complain "not by references: $first"
mux send-keys -t top s
shown ' sort device '
mux send-keys -t top s s h
shown '^DRAINING  the removal waits'
mux send-keys -t top h
shown ' sort state '

# other sizes, down to hardly any
for size in 20x5 1x1 200x50 40x3 80x24; do
	mux resize-window -t top -x ${size%x*} -y ${size#*x}
	mux send-keys -t top Down Up
done
shown "^ +$pid soft1 +DRAINING"

# one who does not answer
kill -STOP "$pid"
shown "^ibc_top .*SOME DO NOT ANSWER"
shown "^ +$pid top_holder .* SILENT$"
out=$("$top" -b -n 1 "$pid")
row "^ +$pid top_holder +- +- "
kill -CONT "$pid"
not_shown 'SILENT|SOME DO NOT'

# what is put is gone
echo put >&7
shown "^ibc_top .* 1 device  1 ref  0 hanging"
not_shown ' soft1 '
shown "^ +$pid top_holder .* ok$"

# it ends
exec 7>&-
await_end "$pid" || complain "top_holder ended with $?"
shown '^No process has a status socket in'
shown "^IBC_STATUS_DIR=$temp/status"
[ -z "$(ls "$temp/status")" ] || complain "left: $(ls "$temp/status")"
mux send-keys -t top q
shown '^status=0'
shown '^ready:'
not_shown '^No process'

# by a signal the terminal is given back, too
mux send-keys -t top -l "'$top' -d 0.2; echo status=\$?; stty -a | grep -o '.icanon'"
mux send-keys -t top Enter
shown '^No process has a status socket in'
mux send-keys -t top C-c
not_shown '^No process'
shown '^ icanon'
mux send-keys -t top -l "TERM=nonsense '$top'"
mux send-keys -t top Enter
shown '^ibc_top: terminal: TERM is "nonsense", which is not known here'
finish ibc_top
