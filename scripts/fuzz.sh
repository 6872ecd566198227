# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# shellcheck disable=SC2154 # BUILD and TOP are in common.sh
#
# The stage `fuzz`: the targets of tests/fuzz/, all at once, for IBC_FUZZ_SECONDS,
# beginning with the seeds there. What they find stays in build/fuzz/corpus, and is
# where the next run begins.

# of softverbs, and of the library
fuzz_targets=(fabric spec context peer cm uevent netlink input sequence)

# fuzz_one NAME SECONDS SCRATCH
fuzz_one() {
	local name=$1 corpus=$BUILD/fuzz/corpus/$1
	mkdir -p "$corpus"
	IBC_FUZZ_DIR=$3 TMPDIR=$3 "$BUILD/fuzz/bin/fuzz_$name" -max_total_time="$2" \
		-timeout=10 -max_len=2000 -print_final_stats=1 \
		-artifact_prefix="$BUILD/log/fuzz-crash-$name-" \
		"$corpus" "$TOP/tests/fuzz/seeds/$name" \
		>"$BUILD/log/fuzz-$name.log" 2>&1 </dev/null
}

# fuzz_verdict NAME STATUS: counts it.
fuzz_verdict() {
	local name=$1 log=$BUILD/log/fuzz-$1.log runs coverage crash
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
	coverage=$(sed -n 's/^#.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
	if [ "$2" = 0 ] && [ "${runs:-0}" -gt 0 ]; then
		say "   fuzz_$name: $runs runs, coverage ${coverage:-0}"
		count 1 0 0
		return
	fi
	count 0 1 0
	warn "fuzz_$name failed; the whole log is ${log#"$TOP"/}:"
	# Base64 is the input: of a run elsewhere nothing else may be left
	grep -a -E '^(wrong|Base64):|ERROR:|^SUMMARY|runtime error' "$log" >&2 ||
		tail -n 20 "$log" >&2
	crash=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
	[ -z "$crash" ] || warn "again with:" \
		"build/fuzz/bin/fuzz_$name ${crash#"$TOP"/}"
}

stage_fuzz() {
	local name status seconds=${IBC_FUZZ_SECONDS:-30} scratch
	local -A pids=()
	build_tree fuzz -DCMAKE_C_COMPILER=clang -DIBC_WERROR=ON \
		-DIBC_BUILD_FUZZ=ON -DIBC_BUILD_TESTS=OFF \
		-DIBC_BUILD_SOFT=OFF -DIBC_BUILD_TOOLS=OFF \
		-DIBC_BUILD_EXAMPLES=OFF -DIBC_BUILD_BENCH=OFF \
		-DIBC_BUILD_MAN=OFF || return 1
	scratch=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo /tmp)") ||
		return 1
	for name in "${fuzz_targets[@]}"; do
		fuzz_one "$name" "$seconds" "$scratch" &
		pids[$name]=$!
	done
	for name in "${fuzz_targets[@]}"; do
		status=0
		wait "${pids[$name]}" || status=$?
		fuzz_verdict "$name" "$status"
	done
	rm -rf "$scratch"
}
