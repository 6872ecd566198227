# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
#
# Counts what ran. A ctest test that is a cmocka program counts as the tests
# in it; any other ctest test, a VM case, a check and a build count as one.

ctest_options=()
passed=0
failed=0
skipped=0

# count PASSED FAILED SKIPPED
count() {
	passed=$((passed + $1))
	failed=$((failed + $2))
	skipped=$((skipped + $3))
}

# skip STAGE REASON…: never silent.
skip() {
	local stage=$1
	shift
	warn "SKIP $stage: $*"
	count 0 0 1
}

# The numbers in the log of `ctest -V`: every line of a test's output begins
# with the test's number, and the verdict follows. Lines and verdicts may come
# several times (a summary, a repetition). A program that crashed has tests
# that began and never ended: they have failed, and so has at least one test of
# any program that ctest calls failed.
count_ctest_log() {
	awk '
	function key() {
		return ($1 + 0) SUBSEP substr($0, index($0, "] ") + 2)
	}
	/^[0-9]+: \[ RUN      \]/ { run[key()] }
	/^[0-9]+: \[       OK \]/ { ok[key()] }
	/^[0-9]+: \[  SKIPPED \] [^0-9]/ { skip[key()] }
	/^[0-9]+: \[  FAILED  \] [^0-9]/ { bad[key()] }
	/^ *[0-9]*\/?[0-9]* +Test +#[0-9]+:/ {
		line = $0
		sub(/^.*Test +#/, "", line)
		t = line + 0
		if (line ~ / Passed /)
			verdict[t] = verdict[t] ? verdict[t] : "p"
		else if (line ~ /\*\*\*Skipped|Not Run \(Disabled\)/)
			verdict[t] = verdict[t] ? verdict[t] : "s"
		else
			verdict[t] = "f"
	}
	END {
		for (k in run) {
			split(k, part, SUBSEP)
			t = part[1]
			inside[t] = 1
			if (k in skip)
				n["s"]++
			else if (k in ok && !(k in bad))
				n["p"]++
			else {
				n["f"]++
				known[t] = 1
			}
		}
		for (t in verdict) {
			if (!(t in inside))
				n[verdict[t]]++
			else if (verdict[t] == "f" && !(t in known))
				n["f"]++
		}
		print n["p"] + 0, n["f"] + 0, n["s"] + 0
	}' "$1"
}

# Those of the tests that did not pass, with the verdict of each.
show_ctest_failures() {
	awk '
	/^[0-9]+: / { out[$1 + 0] = out[$1 + 0] $0 "\n" }
	/^ *[0-9]*\/?[0-9]* +Test +#[0-9]+:/ {
		line = $0
		sub(/^.*Test +#/, "", line)
		if (!/ Passed /)
			printf "%s%s\n", out[line + 0], $0
		out[line + 0] = ""
	}' "$1" >&2
}

# run_ctest STAGE DIR [PREFIX…]: PREFIX is put in front of ctest; of the array
# ctest_options, if the caller has one, the words are options for it. No test at
# all is a failure: it would prove nothing. Tests wait more than they compute, so
# there are three for each processor.
run_ctest() {
	local stage=$1 dir=$2 log=$BUILD/log/$1.log numbers
	local options=(-V -j "$((3 * $(nproc)))" "${ctest_options[@]}")
	shift 2

	mkdir -p "$BUILD/log"
	[ "${IBC_LONG:-}" != 1 ] || options+=(--repeat until-fail:20)
	(cd "$dir" && "$@" ctest "${options[@]}") >"$log" 2>&1 </dev/null ||
		show_ctest_failures "$log"
	numbers=$(count_ctest_log "$log")
	if [ "$numbers" = "0 0 0" ]; then
		warn "$stage: ctest ran nothing; see ${log#"$TOP"/}"
		numbers="0 1 0"
	fi
	# shellcheck disable=SC2086 # three words
	count $numbers
}

# count_tap FILE: VM cases.
count_tap() {
	local ok bad skips
	ok=$(grep -c '^ok ' "$1")
	bad=$(grep -c '^not ok ' "$1")
	skips=$(grep -c '^ok .*# SKIP' "$1")
	count $((ok - skips)) "$bad" "$skips"
}
