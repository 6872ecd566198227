# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
#
# The demonstration: the main job, on softverbs or against soft-RoCE in a real
# kernel.

# The newer kernel if it can be had.
demo_kernel() {
	"$TOP/tests/vm/fetch-kernel" 6.12 ||
		"$TOP/tests/vm/fetch-kernel" 6.1
}

demo_soft() {
	local start
	start=$(now_ms)
	need build
	say "building in ${BUILD#"$TOP"/}/release"
	build_release || die "no demonstration without a build"
	say "ready to start after $(seconds_since "$start") s: no RDMA hardware," \
		"no kernel module, no root"
	PATH=$BUILD/release/bin:$PATH "$TOP/scripts/demo-soft"
	say "the whole demonstration took $(seconds_since "$start") s"
}

demo_rxe() {
	local kernel start
	start=$(now_ms)
	need build vm
	say "building in ${BUILD#"$TOP"/}/release"
	build_release || die "no demonstration without a build"
	[ -x "$BUILD/release/bin/main_job" ] ||
		die "build/release/bin/main_job is missing"
	kernel=$(demo_kernel) ||
		die "no kernel with soft-RoCE to be had; see Documentation/testing.md"
	say "booting Linux ${kernel##*/}: ready to start" \
		"after $(seconds_since "$start") s"
	"$TOP/tests/vm/vm" -t 120 -o "$BUILD/vm/demo" "$kernel" \
		"$TOP/tests/vm/guest-demo" "$BUILD/release"
	say "the whole demonstration took $(seconds_since "$start") s"
}
