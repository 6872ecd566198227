# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# shellcheck disable=SC2154 # the counters are in count.sh
#
# The stages of `./run test`. Each is a function stage_NAME (a minus is an
# underscore there) that calls count, or fails: a stage that cannot be built
# is one failure.

stages=(format build-gcc build-clang unit soft timing model mutants m32 aarch64
	asan tsan torture valgrind fuzz abi install packages rpm vm vm-6.1 vm-6.12
	coverage)
# only with --long, or by name
long_stages=(vm-6.1 vm-6.12 coverage)
# those that say the same as long ones
short_stages=(vm)

# left_out LABEL…: these, and that of tests which only --long has
left_out() {
	local words="$*"
	[ "${IBC_LONG:-}" = 1 ] || words+=" long"
	echo "$words"
}

# turn N: which of N parts of a stage it is, after each commit another one. With
# --long all are.
turn() {
	local commits
	commits=$(git -C "$TOP" rev-list --count HEAD 2>/dev/null) || commits=0
	echo $((commits % $1))
}

# for ctest, where tests compute more than they wait
computing=(-j "$(($(nproc) * 3 / 2))")

# What each stage needs installed.
stage_groups() {
	case $1 in
	format) echo lint ;;
	build-clang) echo build test lint bench ;;
	fuzz) echo build fuzz ;;
	model) echo model ;;
	abi) echo build test bench abi ;;
	m32 | aarch64) echo build test "$1" ;;
	vm | vm-*) echo build test vm ;;
	packages) echo build test debian ;;
	rpm) echo build test rpm ;;
	*) echo build test bench ;;
	esac
}

build_gcc() {
	build_tree release -DCMAKE_C_COMPILER=gcc -DIBC_WERROR=ON
}

stage_format() {
	check_clang_format
	check_spdx
	check_shell
	warn_long_files
}

stage_build_gcc() {
	build_gcc || return 1
	count 1 0 0
}

# For the warnings, which clang has before it optimises; nothing of it is run.
stage_build_clang() {
	build_tree clang -DCMAKE_C_COMPILER=clang -DIBC_WERROR=ON \
		-DIBC_BUILD_MAN=OFF -DCMAKE_BUILD_TYPE=Debug \
		-DCMAKE_C_FLAGS_DEBUG=-O0 || return 1
	count 1 0 0
}

# Those of softverbs come next.
stage_unit() {
	# shellcheck disable=SC2034 # run_ctest uses it
	local ctest_options=(-LE "$(left_out soft | tr ' ' '|')")
	build_gcc || return 1
	run_ctest unit "$BUILD/release"
}

stage_soft() {
	build_gcc || return 1
	run_unprivileged soft soft "$(left_out timing)"
}

# The only ones that assert times.
stage_timing() {
	build_gcc || return 1
	run_unprivileged timing timing none
	grep -h '^[0-9]*: measured: ' "$BUILD/log/timing.log" |
		sed 's/^[0-9]*:/  /'
}

# All schedules of a model of the library; with --long of everything at once.
stage_model() {
	local log=$BUILD/log/model.log status=0 all=()
	[ "${IBC_LONG:-}" != 1 ] || all=(--all)
	mkdir -p "$BUILD/log"
	"$TOP/tests/model/check" "${all[@]}" >"$log" 2>&1 </dev/null || status=$?
	if [ "$status" = 77 ]; then
		skip model "$(tail -n 1 "$log")"
		return 0
	fi
	grep '^ok .* configuration ' "$log" | sed 's/^ok [0-9]* -/  /'
	grep -A 6 '^not ok ' "$log" >&2
	count_tap "$log"
	grep -q '^1\.\.[1-9]' "$log"
}

# Mistakes made in the library on purpose: each must have its test fail. A third of
# them, in turn.
stage_mutants() {
	local log=$BUILD/log/mutants.log part=0/1
	build_gcc || return 1
	mkdir -p "$BUILD/log"
	[ "${IBC_LONG:-}" = 1 ] || part=$(turn 3)/3
	"$TOP/tests/mutants/run" -p "$part" "$BUILD/release" >"$log" 2>&1 \
		</dev/null || true
	grep -v '^caught: ' "$log" | sed 's/^/   /'
	count "$(grep -c '^caught: ' "$log")" \
		"$(grep -c -E '^(survived|wrong): ' "$log")" 0
	grep -q '^caught: ' "$log"
}

# sanitized STAGE SANITIZERS [PREFIX…]
sanitized() {
	local stage=$1
	# shellcheck disable=SC2034 # run_ctest uses it
	local ctest_options=(-LE "$(left_out timing | tr ' ' '|')" "${computing[@]}")
	build_sanitized "$1" "$2" || return 1
	shift 2
	run_ctest "$stage" "$BUILD/$stage" "$@"
}

# build_sanitized STAGE SANITIZERS
build_sanitized() {
	build_tree "$1" -DCMAKE_C_COMPILER=gcc -DIBC_BUILD_MAN=OFF \
		-DCMAKE_BUILD_TYPE=Debug "-DIBC_SANITIZE=$2"
}

# Options of the sanitizers are set by the tests, in tests/CMakeLists.txt.
stage_asan() {
	[ -z "$vm_to_come" ] || build_modules_ahead
	sanitized asan address,undefined
}

# Kernels that randomise more bits of an address than this TSan knows make it
# abort at the start: then without randomisation, where that is allowed.
fixed_addresses=()
! setarch -R true 2>/dev/null || fixed_addresses=(setarch -R)

stage_tsan() {
	sanitized tsan thread "${fixed_addresses[@]}"
}

# The same two programs from three trees, beside each other: what the neighbours
# take makes more schedules.
stage_torture() {
	local tree pids=()
	build_gcc && build_sanitized asan address,undefined &&
		build_sanitized tsan thread || return 1
	mkdir -p "$BUILD/log"
	for tree in release asan tsan; do
		(cd "$BUILD/$tree" && TORTURE_SECONDS=${TORTURE_SECONDS:-30} \
			"${fixed_addresses[@]}" ctest -V -j 2 -R '^(on_soft_)?torture$') \
			>"$BUILD/log/torture-$tree.log" 2>&1 </dev/null &
		pids+=($!)
	done
	# not for the modules that are built beside it; the logs say how they ended
	wait "${pids[@]}" || true
	for tree in release asan tsan; do
		show_torture "$BUILD/log/torture-$tree.log"
	done
}

# one that says nothing of its two has failed, too
show_torture() {
	local ok bad left numbers
	sed -n 's/^[0-9]*: torture: \(seed .* rounds .*\)/   \1/p' "$1"
	numbers=$(count_ctest_log "$1")
	[ "$numbers" = "2 0 0" ] || show_ctest_failures "$1"
	read -r ok bad left <<<"$numbers"
	[ $((ok + bad + left)) -ge 2 ] || bad=$((bad + 1))
	count "$ok" "$bad" "$left"
}

# The same tests as unit, as another directory for ctest: each program of the
# build behind valgrind, with time for it. Scripts are not programs. Half of them, in
# turn: most of what it finds AddressSanitizer does, too.
stage_valgrind() {
	local dir=$BUILD/valgrind of=2
	# shellcheck disable=SC2034 # run_ctest uses it
	local ctest_options=("${computing[@]}")
	build_gcc || return 1
	mkdir -p "$dir"
	[ "${IBC_LONG:-}" != 1 ] || of=1
	(cd "$BUILD/release" && ctest --show-only=json-v1) |
		jq -r -L "$TOP/scripts" --arg bin "$BUILD/release/" \
			--argjson of "$of" --argjson turn "$(turn "$of")" \
			-f "$TOP/scripts/valgrind.jq" \
		>"$dir/CTestTestfile.cmake" || return 1
	run_ctest valgrind "$dir"
}

# Which lines of the library the tests execute: see Documentation/coverage.md. Those
# of the contract on softverbs that are needed are with them; not those of signals,
# whose handlers leave no time for what they interrupt when they count, too.
stage_coverage() {
	local log=$BUILD/log/coverage-lines.log
	# shellcheck disable=SC2034 # build_tree uses it
	local build_targets=(coverage-tests)
	# shellcheck disable=SC2034 # run_ctest uses it
	local ctest_options=(-LE timing
		-R '^(test_|tracked_|g20_sweep_|on_soft_(open|objects|adopt)$)'
		-E 'signal$')
	build_tree coverage -DCMAKE_C_COMPILER=gcc -DIBC_COVERAGE=ON \
		-DIBC_BUILD_MAN=OFF -DIBC_BUILD_BENCH=OFF \
		-DCMAKE_BUILD_TYPE=Debug || return 1
	find "$BUILD/coverage" -name '*.gcda' -delete
	run_ctest coverage "$BUILD/coverage"
	if "$TOP/tests/coverage/report" "$BUILD/coverage" >"$log" 2>&1; then
		count 1 0 0
	else
		count 0 1 0
	fi
	sed 's/^/   /' "$log"
}

# The public libraries as text, beside what is recorded of them in abi/; whether that
# comparison sees what it should; and programs that were built before.
stage_abi() {
	# shellcheck disable=SC2034 # build_tree uses it
	local build_targets=()
	build_gcc || return 1
	# shellcheck disable=SC2034
	build_targets=(ibclient ibclient-pd ibclient-rdmacm softverbs)
	mkdir -p "$BUILD/log"
	build_tree abi -DCMAKE_BUILD_TYPE=Debug -DIBC_BUILD_TESTS=OFF \
		-DIBC_BUILD_TOOLS=OFF -DIBC_BUILD_EXAMPLES=OFF \
		-DIBC_BUILD_BENCH=OFF -DIBC_BUILD_MAN=OFF \
		"-DCMAKE_C_FLAGS=$("$TOP/tests/abi/check" --cflags)" || return 1
	abi_check check "$BUILD/abi/lib" "$BUILD/abi/record"
	abi_check test-check "$BUILD/abi/test"
	abi_check check-old "$BUILD/release" "$BUILD/abi/old"
}

# abi_check NAME ARG…: counts what tests/abi/NAME says
abi_check() {
	local log=$BUILD/log/abi-$1.log status=0
	"$TOP/tests/abi/$1" "${@:2}" >"$log" 2>&1 </dev/null || status=$?
	if [ "$status" = 77 ]; then
		skip "abi $1" "$(tail -n 1 "$log")"
		return
	fi
	count "$(grep -c -E ': ok$|^ok: ' "$log")" 0 0
	[ "$status" = 0 ] || {
		sed 's/^/   /' "$log" >&2
		count 0 1 0
	}
}

# Programs of strangers, by each build system, against what was installed.
stage_install() {
	local root=$BUILD/install log=$BUILD/log/install.log
	build_gcc || return 1
	rm -rf "$root" "$BUILD/consumers"
	if ! DESTDIR=$root cmake --install "$BUILD/release" >"$log" 2>&1 ||
	   ! "$TOP/tests/consumers/check" "$root" "$BUILD/consumers" \
		>>"$log" 2>&1; then
		tail -n 20 "$log" >&2
		return 1
	fi
	count "$(grep -c ': ok$' "$log")" 0 0
}

# checked_packages SCRIPT DIR [ARG…]: see tests/packages/
checked_packages() {
	local script=$1 dir=$2 log=$BUILD/log/$2.log status=0
	shift 2
	build_gcc || return 1
	"$TOP/tests/packages/$script" "$BUILD/release" "$BUILD/$dir" "$@" 2>&1 |
		tee "$log" | sed -u 's/^/   /' || status=$?
	count "$(grep -c '^ok' "$log")" 0 0
	return "$status"
}

# What a Debian system would install.
stage_packages() {
	local root status=0
	if ! command -v dpkg-buildpackage >/dev/null; then
		skip packages "this is no Debian, or its tools cannot be installed"
		return
	fi
	root=$("$TOP/tests/packages/fetch-root") || status=$?
	case $status in
	0) checked_packages check-deb packages "$root" ;;
	3) skip packages "there is no clean root, as said above" ;;
	*) return 1 ;;
	esac
}

# What Fedora and Enterprise Linux would.
stage_rpm() {
	if ! command -v rpmbuild >/dev/null || ! command -v rpmlint >/dev/null; then
		skip rpm "its tools are not there, and cannot be installed"
		return
	fi
	[ "$(id -u)" = 0 ] || unshare --map-root-user true 2>/dev/null || {
		skip rpm "packages are installed by root, or in a user namespace"
		return
	}
	checked_packages check-rpm rpm
}

known_stage() {
	local stage
	for stage in "${stages[@]}"; do
		[ "$stage" != "$1" ] || return 0
	done
	return 1
}

run_stage() {
	local stage=$1 start before=$failed verdict=ok
	start=$(now_ms)
	say "== $stage"
	"stage_${stage//-/_}" || count 0 1 0
	[ "$failed" = "$before" ] || verdict=FAILED
	say "== $stage: $verdict, $(seconds_since "$start") s"
}

# run_tests STAGE…
run_tests() {
	local stage groups=()
	if [ $# = 0 ]; then
		local but=("${long_stages[@]}")
		[ "${IBC_LONG:-}" != 1 ] || but=("${short_stages[@]}")
		for stage in "${stages[@]}"; do
			[[ " ${but[*]} " == *" $stage "* ]] || set -- "$@" "$stage"
		done
	fi
	for stage in "$@"; do
		known_stage "$stage" ||
			usage_error "no stage $stage; there are: ${stages[*]}"
		read -ra words < <(stage_groups "$stage")
		groups+=("${words[@]}")
	done
	mapfile -t groups < <(printf '%s\n' "${groups[@]}" | sort -u)
	need "${groups[@]}"
	for stage in "$@"; do
		case $stage in
		vm) vm_to_come+=" 6.1 6.12" ;;
		vm-*) vm_to_come+=" ${stage#vm-}" ;;
		esac
	done
	for stage in "$@"; do
		run_stage "$stage"
	done
	if [ "${CI:-}" = true ] && [ "$skipped" -gt 0 ]; then
		warn "nothing may be skipped in CI"
		count 0 "$skipped" "-$skipped"
	fi
	say "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" = 0 ]
}
