# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# shellcheck disable=SC2154 # BUILD and TOP are in common.sh
#
# The stages that run tests/vm/cases/ in virtual machines, each a kernel of Debian's.

# Their modules take half a minute for each kernel. Where those stages are to come
# they are built beside the tests of a stage that has time for it. What goes wrong
# here goes wrong there again, and is told there.
vm_to_come=
modules_ahead=
build_modules_ahead() {
	local series kernel
	mkdir -p "$BUILD/log"
	for series in $vm_to_come; do
		kernel=$("$TOP/tests/vm/fetch-kernel" "$series") &&
			nice "$TOP/tests/vm/build-modules" "$kernel"
	done >"$BUILD/log/vm-modules.log" 2>&1 </dev/null &
	modules_ahead=$!
}

# vm_kernels SERIES…: their directories become $kernels; what is not there is skipped
vm_kernels() {
	local series kernel status
	[ -z "$modules_ahead" ] || wait "$modules_ahead" || true
	modules_ahead=
	kernels=()
	for series in "$@"; do
		status=0
		kernel=$("$TOP/tests/vm/fetch-kernel" "$series") || status=$?
		case $status in
		0) kernels+=("$kernel") ;;
		3) skip "vm-$series" "this system has no such kernel to offer" ;;
		*) return 1 ;;
		esac
	done
}

# vm_cases NAME KERNEL [CASE|FILE…]
vm_cases() {
	local name=$1
	shift
	mkdir -p "$BUILD/log"
	IBC_VM_TIMEOUT=$([ "${IBC_LONG:-}" = 1 ] && echo 3600 || echo 1500) \
		IBC_VM_NAME=$name "$TOP/tests/vm/run-cases" "$@" 2>&1 |
		tee "$BUILD/log/$name.log" | sed -u 's/^/   /' || true
}

# vm_count NAME: the machine may end before the plan, the last line, was printed.
vm_count() {
	count_tap "$BUILD/log/$1.log"
	grep -q '^1\.\.[1-9]' "$BUILD/log/$1.log" || {
		warn "$1: not all cases were run"
		return 1
	}
}

# vm_stage SERIES: everything on that kernel, in a machine with two CPUs
vm_stage() {
	local kernels kernel
	build_gcc && vm_kernels "$1" || return 1
	for kernel in "${kernels[@]}"; do
		say "   kernel ${kernel##*/}"
		vm_cases "vm-$1" "$kernel"
		vm_count "vm-$1" || return 1
	done
}

stage_vm_6.1() {
	vm_stage 6.1
}

stage_vm_6.12() {
	vm_stage 6.12
}

# Both kernels. An emulated machine with one CPU needs one of ours, and takes hardly
# longer than one with two: so most cases run in two such machines beside each other,
# in half the time. What asserts times or goes on for long, in the files 70 to 89, has
# a machine with two CPUs, of one of the kernels, in turn.
stage_vm() {
	local kernels kernel bad=0 beside alone
	build_gcc && vm_kernels 6.1 6.12 || return 1
	beside=$(cd "$TOP/tests/vm/cases" && echo [1-69]*.sh)
	alone=$(cd "$TOP/tests/vm/cases" && echo [78]*.sh)
	# one after the other; run-cases asks again, and says what is wrong
	for kernel in "${kernels[@]}"; do
		"$TOP/tests/vm/build-modules" "$kernel" >/dev/null 2>&1 || true
	done
	for kernel in "${kernels[@]}"; do
		# shellcheck disable=SC2086 # names
		IBC_VM_SMP=1 vm_cases "vm-${kernel##*/}" "$kernel" $beside \
			>"$BUILD/log/vm-beside-${kernel##*/}" &
	done
	wait
	for kernel in "${kernels[@]}"; do
		say "   kernel ${kernel##*/}, one CPU"
		cat "$BUILD/log/vm-beside-${kernel##*/}"
		vm_count "vm-${kernel##*/}" || bad=1
	done
	[ ${#kernels[@]} -gt 0 ] || return "$bad"
	kernel=${kernels[$(turn ${#kernels[@]})]}
	say "   kernel ${kernel##*/}, two CPUs"
	# shellcheck disable=SC2086 # names
	vm_cases "vm-alone-${kernel##*/}" "$kernel" $alone
	vm_count "vm-alone-${kernel##*/}" || bad=1
	return "$bad"
}
