# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
#
# A story told by two: main_job's side comes from its output, the other side
# from `does WHO COMMAND…`, on the same clock.
began=$((1 << 62))

story_ms() {
	echo $(($(date +%s%N) / 1000000))
}

# Its clock began at the time of a line minus the time that the line names, or
# a little before, as a line takes a moment to get here.
set_clock() {
	local at
	[[ $1 =~ ^\ *([0-9]+)\.([0-9]{3})\ s ]] || return 0
	at=$(($(story_ms) - BASH_REMATCH[1] * 1000 - 10#${BASH_REMATCH[2]}))
	[ "$at" -ge "$began" ] || began=$at
}

tell() {
	local at=$(($(story_ms) - began))
	printf '%5d.%03d s  %s\n' $((at / 1000)) $((at % 1000)) "$*"
}

# before main_job, in its process: redefine it to set the environment
enter_job() {
	:
}

# start_job ARG…
start_job() {
	began=$((1 << 62))
	exec {job_out}< <(enter_job; exec main_job --timeout 60 "$@")
	job=$!
}

# tell_until TEXT: passes on what main_job says, up to a line with TEXT.
tell_until() {
	local line
	while IFS= read -r -t 60 -u "$job_out" line; do
		echo "$line"
		set_clock "$line"
		[[ $line != *"$1"* ]] || return 0
	done
	echo "main_job never said \"$1\"" >&2
	return 1
}

end_job() {
	wait "$job" || return 1
	exec {job_out}<&-
}

does() {
	local who=$1 start
	shift
	start=$(story_ms)
	tell "$who: $* …"
	"$@" || return 1
	tell "$who: … it returned, after $(($(story_ms) - start)) ms"
}
