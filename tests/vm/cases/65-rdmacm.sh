# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# shellcheck source=tests/vm/cases/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Contexts that are librdmacm's own: the real one, which closes late or too early.

# A program with an id on rxe0, and another device; what it reads is
# written to descriptor 9, which nobody else may have: the end of it is its end.
start_rdmacm() {
	local pipe
	command -v vm_rdmacm >/dev/null || {
		echo "librdmacm was not there when this was built"
		exit 77
	}
	have_rxe rxe0 rxe1
	ip address add 10.77.0.1/24 dev ibc-rxe0
	ip address add 10.77.1.1/24 dev ibc-rxe1
	pipe=$(mktemp -u)
	mkfifo "$pipe"
	exec 9<>"$pipe"
	start_program vm_rdmacm 10.77.0.1 "$pipe" 9>&-
	told bound
	rm "$pipe"
}

# told EVENT [TIMES [ERROR]]: it has been said so often, in whatever order with
# others: they come from several threads.
told() {
	local end=$(($(now_ms) + 10000)) line times
	while :; do
		times=0
		for line in "${events[@]}"; do
			! line_has "$line" event "$1" ||
				! line_has "$line" error "${3:-0}" ||
				times=$((times + 1))
		done
		[ $times -lt "${2:-1}" ] || return 0
		if [ "$(now_ms)" -ge $end ] || ! next_line 10; then
			give_up "no '$1' with error ${3:-0} in 10 s"
		fi
	done
}

# order WORD [TIMES [ERROR]]: and it has been done
order() {
	echo "$1" >&9
	told "$@"
}

# The id is told before the kernel waits for who has the device open.
begin_delete() {
	delete_rxe rxe0 9>&- &
	deleting=$!
	told RDMA_CM_EVENT_DEVICE_REMOVAL
	told destroyed
}

delete_waits() {
	kill -0 "$deleting" 2>/dev/null
}

# It goes on until then, and closes all that it has.
end_rdmacm() {
	local status=0
	check "the delete ended" wait "$deleting"
	exec 9>&-
	rest_of_events
	wait "$monitor" || status=$?
	cat "$errors"
	check "the program ended well" test $status = 0
}

# An id that was there is enough: librdmacm keeps the context of a device that
# went, until it is asked for all. The program goes on.
case_rdmacm_release_ends_the_delete() {
	local start
	start_rdmacm
	begin_delete
	check "librdmacm has it open" delete_waits
	start=$(now_ms)
	order release
	check "the delete ends" until_true 20 eval '! delete_waits'
	measured "the delete returned $(($(now_ms) - start)) ms after the release"
	end_rdmacm
}

# g12: the id is gone, librdmacm has looked, and the data is used still.
case_rdmacm_context_is_open_until_the_put() {
	local start
	start_rdmacm
	order adopt
	told add
	begin_delete
	told remove
	order release
	order use
	check "the delete waits for the data" delete_waits
	start=$(now_ms)
	order put
	told gone
	check "the delete ends" until_true 20 eval '! delete_waits'
	measured "the delete returned $(($(now_ms) - start)) ms after the put"
	end_rdmacm
}

# Without a second device librdmacm does not look, and says so; with one it does.
case_rdmacm_release_without_a_device_says_so() {
	start_rdmacm
	delete_rxe rxe1
	order adopt
	told add
	begin_delete
	order put
	told gone
	order release 1 19
	check "nothing can be done" delete_waits
	add_rxe rxe1
	order release
	check "the delete ends" until_true 20 eval '! delete_waits'
	end_rdmacm
}

# A driver that lets go: nobody waits, whatever librdmacm has open.
case_rdmacm_patched() {
	load_patched_rxe
	start_rdmacm
	order adopt
	told add
	begin_delete
	told remove
	check "the delete ends" until_true 20 eval '! delete_waits'
	order put
	told gone
	order release
	end_rdmacm
}
