# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# shellcheck source=tests/vm/cases/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# ibc_devices.

# status_of COMMAND…: its exit status; output goes to the log.
status_of() {
	local status=0
	"$@" >&2 || status=$?
	echo $status
}

case_devices_text() {
	have_rxe rxe0 rxe1
	check "both are listed" test "$(ibc_devices | grep -c -w 'rxe[01]')" = 2
	check "only the named one" test \
		"$(ibc_devices rxe1 | grep -o 'rxe[01]' | sort -u)" = rxe1
}

case_devices_json() {
	local index guid out
	have_rxe rxe0 rxe1
	out=$(ibc_devices -j)
	echo "$out"
	check "one object a line" test "$(wc -l <<<"$out")" = 2
	check "the keys of ibc_dump()" jq -s -e 'all(.[];
		(.name | type == "string") and (.index | type == "number") and
		(.guid | type == "string") and
		(.incarnation | type == "number") and
		(.state | type == "string") and (.adopted == false) and
		(.clients | type == "array"))' <<<"$out"
	read -r index guid < <(kernel_identity rxe1)
	check "index and GUID are the kernel's" jq -s -e \
		--argjson index "$index" --arg guid "$guid" \
		'any(.[]; .name == "rxe1" and .index == $index and
		 (.guid | ltrimstr("0x") | gsub(":"; "")) == $guid)' <<<"$out"
}

case_devices_verbose() {
	have_rxe rxe0
	check "-v says more" test "$(ibc_devices -v | wc -c)" -gt \
		"$(ibc_devices | wc -c)"
	check "-v -j is JSON too" jq -s -e 'length == 1' \
		<<<"$(ibc_devices -v -j)"
}

case_devices_unknown_is_1() {
	have_rxe rxe0
	check "exit status" test "$(status_of ibc_devices nothere0)" = 1
	check "it names the device on stderr" grep -q '^ibc_devices: nothere0: ' \
		<<<"$(ibc_devices nothere0 2>&1 >/dev/null)"
}

case_wrong_use_is_2() {
	load_rxe
	check "ibc_devices" test "$(status_of ibc_devices --nonsense)" = 2
	check "ibc_monitor" test "$(status_of ibc_monitor --nonsense)" = 2
	check "--hold wants a number" \
		test "$(status_of ibc_monitor --hold soon)" = 2
	check "-t wants a number" test "$(status_of ibc_monitor -t soon)" = 2
}

case_help_and_version_are_0() {
	local tool
	for tool in ibc_devices ibc_monitor; do
		check "$tool --help" test "$(status_of $tool --help)" = 0
		check "$tool --version" test "$(status_of $tool --version)" = 0
	done
}

case_no_permission_is_said_in_words() {
	local said status=0
	have_rxe rxe0
	chmod 000 /dev/infiniband/uverbs*
	said=$("${as_nobody[@]}" ibc_devices 2>&1 >/dev/null) || status=$?
	chmod 666 /dev/infiniband/uverbs*
	echo "$said"
	check "exit status" test $status = 1
	check "it names the node and the reason" grep -q -i -E \
		'/dev/infiniband/uverbs[0-9].*permission|permission.*/dev/infiniband/uverbs[0-9]' \
		<<<"$said"
	check "and works again afterwards" "${as_nobody[@]}" ibc_devices rxe0
}
