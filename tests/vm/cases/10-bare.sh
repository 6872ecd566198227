# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# shellcheck source=tests/vm/cases/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# These come first: a kernel that has loaded no RDMA module yet.

case_no_module_is_said_in_words() {
	local said
	[ ! -e /sys/class/infiniband_verbs ] || {
		echo "ib_uverbs is loaded already"
		exit 77
	}
	said=$(ibc_devices 2>&1) || true
	echo "$said"
	check "it names a module or a package" \
		grep -q -i -E 'ib_uverbs|rdma_rxe|modprobe|linux-modules' <<<"$said"
}

# A machine without RDMA is an empty registry: devices may come later.
case_monitor_started_before_any_module() {
	start_monitor
	have_rxe rxe0
	wait_event add rxe0
	delete_rxe rxe0
	wait_event remove rxe0
	wait_event gone rxe0
	stop_monitor
}
