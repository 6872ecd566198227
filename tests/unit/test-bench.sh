#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# test-bench.sh IBC_BENCH RUN: that the benchmarks work, not what they measure. Each
# contender checks its own counts, before and after, in the same run: see
# bench/table.h.
set -uo pipefail

command=$1
run=$2
# shellcheck source=tests/soft/command-lib.sh
. "$(dirname "$0")/../soft/command-lib.sh"

# ---- wrong use ----

wrong '-z: no such option' -z
wrong '-r: it needs a value' -r
wrong 'nothing: no such suite' nothing
for option in '-r 0' '-r 1.5' '-r x' '-r 9999' '-t 0' '-t -1' '-t 1e9'; do
	# shellcheck disable=SC2086 # two words
	wrong "${option% *}: it is to be" $option
done
fails 'file: cannot be written: No such file' -q -o "$temp/no/file"
prints '^usage: ibc_bench ' -h
usage=$out

# use_wrong PATTERN WORD…: of ./run bench, which prints its usage behind it
use_wrong() {
	local pattern=$1
	shift
	call 2 bench "$@"
	grep -q -e "$pattern" <<<"$err" || complain "run $*: says $err"
	[ -z "$out" ] || complain "run $*: standard output: $out"
}

bench=$command
command=$run
use_wrong '^run: bench: unknown option -z$' -z
use_wrong '^run: bench: --plot needs a file$' --plot
use_wrong 'FILE.svg or FILE.png, not x.jpg$' --plot x.jpg
use_wrong 'no/x.svg cannot be written$' "--plot=$temp/no/x.svg" -j
command=$bench

# ---- a measurement, as short as can be ----

call 0 -q -j -o "$temp/json"
[ -z "$err" ] || complain "ibc_bench -q -j: $err"
cmp -s "$temp/out" "$temp/json" || complain "-j and -o give different JSON"
json '.[0] | .benchmark == "topology" and .cpus > 0 and
	(.relation | length > 0)'
json '
	map(select(has("contender"))) | length > 50 and all(.rounds == 2 and
	.min > 0 and .min <= .q1 and .q1 <= .median_ns and .median_ns <= .q3 and
	.q3 <= .max and .ratio > 0)'
for operation in get+put alloc_or_get+put hold+put; do
	json "
		map(select(.operation == \"$operation\" and
			.benchmark == \"lookup\" and
			.contender == \"libibclient\") | [.threads, .slots]) |
		unique == [[1, 1], [1, 64], [2, 1], [2, 64]]"
done
json '
	map(select(has("contender")) |
		[.benchmark, .operation, .setting, .threads, .slots, .devices,
		 .contender]) | length == (unique | length)'
json '
	map(select(.benchmark == "writers" and .beside_ns > 0)) | length == 4'
for suite in startup events removal data; do
	grep -q "^  $suite " <<<"$usage" || continue # it needs softverbs
	json "map(select(.benchmark == \"$suite\")) | length >= 2"
done
json 'all(.benchmark != "verdict")'

finish bench
