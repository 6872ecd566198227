#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck disable=SC2016,SC2086 # words for the shell that is run; of words
#
# test-data-programs.sh SOFTVERBS: unmodified programs of distributions send to each
# other on softverbs, two processes each.
set -uo pipefail

softverbs=$(readlink -f "$1")
# A sanitizer's runtime would have to come before the interposer.
unset LD_PRELOAD LD_LIBRARY_PATH SOFTVERBS_DIR SOFTVERBS_CM
export LC_ALL=C
failed=0

for tool in ss ibv_rc_pingpong rping mckey rdma_server ib_send_bw fi_pingpong; do
	command -v $tool >/dev/null && continue
	echo "skipped: needs $tool"
	exit 77
done
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
# below those that the kernel gives to who connects
port=$((20000 + $$ % 10000))

# meet READY COMMAND CLIENT-WORDS…: COMMAND, and with the words when it is ready
meet() {
	export READY=$1 SERVER=$2 CLIENT="$2 ${*:3}" LOG=$tmp/log
	[ -z "${client_command:-}" ] || CLIENT=$client_command
	if timeout 120 "$softverbs" run -n 1 -- bash -c '
		$SERVER >"$LOG" 2>&1 &
		until eval "$READY"; do
			kill -0 $! 2>/dev/null || exit 1
		done
		$CLIENT >"$LOG.client" 2>&1 && wait $!'; then
		echo "ok: $SERVER"
	else
		echo "FAILED: $SERVER"
		cat "$tmp/log" "$tmp/log.client"
		failed=1
	fi
}

# by a TCP port of its own
by_port() {
	while ss -ltnH | grep -q ":$port "; do
		port=$((port + 1))
	done
	meet "ss -ltnH | grep -q :$port" "$* -p $port" 127.0.0.1
	port=$((port + 1))
}

# by rdma_cm: SERVER CLIENT
by_cm() {
	local client_command=$2
	meet 'compgen -G "$SOFTVERBS_DIR/cm/0*" >/dev/null' "$1"
}

for options in "" "-e" "-c" "-c -e" "-t" "-o" "-N" "-s 1048576 -n 50"; do
	by_port ibv_rc_pingpong -g 0 $options
done
for program in uc ud srq; do
	by_port ibv_${program}_pingpong -g 0
	by_port ibv_${program}_pingpong -g 0 -e
done

perftest="-F -x 0"
for program in ib_send ib_write ib_read ib_atomic; do
	by_port ${program}_lat $perftest -n 100
	by_port ${program}_bw $perftest -n 100
done
for program in ib_send_bw ib_write_bw ib_read_bw; do
	by_port $program $perftest -a -n 20
done
by_port ib_send_bw $perftest -c UD -n 100
by_port ib_send_lat $perftest -c UC -n 100
by_port ib_write_bw $perftest -c UC -n 100
by_cm "ib_send_bw $perftest -R -n 100 -p $port" \
	"ib_send_bw $perftest -R -n 100 -p $port 127.0.0.1"

by_cm "rping -s -v -V -C 1000" "rping -c -a 127.0.0.1 -v -V -C 1000"
by_cm ucmatose "ucmatose -s 127.0.0.1"
by_cm udaddy "udaddy -s 127.0.0.1"
by_cm rdma_server "rdma_client -s 127.0.0.1"

# the sender of multicast waits for nobody: the receiver has to be there
cat >"$tmp/mckey" <<-'END'
	mckey -m 239.1.1.1 -b 127.0.0.1 >"$LOG" 2>&1 &
	until grep -q 'receiving data' "$LOG" 2>/dev/null ||
		! kill -0 $! 2>/dev/null; do :; done
	mckey -m 239.1.1.1 -b 127.0.0.1 -s >"$LOG.client" 2>&1 && wait $!
END
if LOG=$tmp/log timeout 60 "$softverbs" run -n 1 -- \
	stdbuf -oL bash "$tmp/mckey"; then
	echo "ok: mckey"
else
	echo "FAILED: mckey"
	cat "$tmp/log" "$tmp/log.client"
	failed=1
fi

timeout 60 "$softverbs" run -n 1 -- fi_info -p verbs | grep -q 'domain: soft0' || {
	echo "FAILED: fi_info does not know soft0"
	failed=1
}
while ss -ltnH | grep -q ":$port "; do
	port=$((port + 1))
done
client_command="fi_pingpong -p verbs -e msg -I 20 -S 4096 -P $port 127.0.0.1"
meet "ss -ltnH | grep -q :$port" \
	"fi_pingpong -p verbs -e msg -I 20 -S 4096 -B $port"
exit $failed
