#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck disable=SC2016 # words for the shell that is run
#
# test-cm-programs.sh SOFTVERBS: unmodified programs of librdmacm make their
# connections on softverbs, and send over them.
set -uo pipefail

softverbs=$(readlink -f "$1")
# A sanitizer's runtime would have to come before the interposer.
unset LD_PRELOAD LD_LIBRARY_PATH SOFTVERBS_DIR SOFTVERBS_CM
export LC_ALL=C
failed=0

for tool in ucmatose udaddy cmtime mckey rping rdma_server; do
	command -v $tool >/dev/null && continue
	echo "skipped: needs $tool"
	exit 77
done
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# meet WHAT SERVER CLIENT: both end well, the client once the server has its port
meet() {
	export SERVER=$2 CLIENT=$3 LOG=$tmp/log
	if timeout 120 "$softverbs" run -n 2 -- bash -c '
		$SERVER >"$LOG" 2>&1 &
		until compgen -G "$SOFTVERBS_DIR/cm/0*" >/dev/null; do
			kill -0 $! 2>/dev/null || exit 1
		done
		$CLIENT >>"$LOG" 2>&1 && wait $!'; then
		echo "ok: $1"
	else
		echo "FAILED: $1"
		cat "$tmp/log"
		failed=1
	fi
}

meet "a hundred connections" "ucmatose -C 0 -c 100" \
	"ucmatose -C 0 -c 100 -s 127.0.0.1"
meet "to IPv6" "ucmatose -C 0 -c 3 -f ip6 -b ::1" \
	"ucmatose -C 0 -c 3 -f ip6 -s ::1"
meet "another channel" "ucmatose -C 0 -c 3 -m" "ucmatose -C 0 -c 3 -m -s 127.0.0.1"
meet "datagrams" "udaddy -C 0 -c 5" "udaddy -C 0 -c 5 -s 127.0.0.1"
meet "data" "ucmatose -C 20 -c 5" "ucmatose -C 20 -c 5 -s 127.0.0.1"
meet "data in datagrams" "udaddy -C 4" "udaddy -C 4 -s 127.0.0.1"
meet "read and write" "rping -s -C 10 -v -V" \
	"rping -c -a 127.0.0.1 -C 10 -v -V"
meet "end points" "rdma_server" "rdma_client -s 127.0.0.1"
# where it is installed
if command -v ib_send_lat >/dev/null; then
	meet "perftest" "ib_send_lat -R -n 50" "ib_send_lat -R -n 50 127.0.0.1"
	meet "perftest in datagrams" "ib_send_lat -R -c UD -n 50" \
		"ib_send_lat -R -c UD -n 50 127.0.0.1"
fi
export SOFTVERBS_CM='192.0.2.1=soft1 *=soft0'
meet "an address of nobody else" "ucmatose -C 0 -b 192.0.2.1" \
	"ucmatose -C 0 -s 192.0.2.1"
unset SOFTVERBS_CM

# it serves until it is told to stop
if "$softverbs" run -- bash -c '
	timeout 60 cmtime -c 50 >/dev/null 2>&1 &
	until compgen -G "$SOFTVERBS_DIR/cm/0*" >/dev/null; do
		kill -0 $! 2>/dev/null || exit 1
	done
	timeout 60 cmtime -c 50 -s 127.0.0.1
	status=$?
	kill $!
	wait
	exit $status' >"$tmp/log" 2>&1 &&
	[ "$(grep -c '^\(connect\|disconnect\|destroy\) *:' "$tmp/log")" = 3 ]; then
	echo "ok: cmtime"
else
	echo "FAILED: cmtime"
	cat "$tmp/log"
	failed=1
fi
exit $failed
