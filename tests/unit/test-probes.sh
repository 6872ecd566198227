#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# test-probes.sh PROBED [without] : do the probes fire, with the right arguments? gdb
# runs the program PROBED (probed.c), which prints what it does, with a breakpoint at
# each probe of Documentation/probes.md that prints what is seen there. Both must be
# the same, and each probe must have fired. Exit status: 0; 1; 77, without probes or gdb.
set -u
export LC_ALL=C
PROBED=$(readlink -f "${1:?usage: test-probes.sh PROBED [without]}") || exit 1
cd "$(dirname "$0")/../.." || exit 1
TMP=$(mktemp -d) || exit 1
trap 'rm -rf "$TMP"' EXIT
unset LD_PRELOAD DEBUGINFOD_URLS

skip()
{
	echo "test-probes: skipped: $*"
	exit 77
}

# how gdb prints the argument NAME, which is the Nth
argument()
{
	case $1 in
	device | client | old_name | reason | source)
		FORMAT+=" %s" VALUES+=", (char *)\$_probe_arg$2" ;;
	data)
		FORMAT+=" 0x%lx" VALUES+=", (unsigned long)\$_probe_arg$2" ;;
	incarnation)
		FORMAT+=" %lu" VALUES+=", (unsigned long)\$_probe_arg$2" ;;
	number | count)
		FORMAT+=" %u" VALUES+=", (unsigned int)\$_probe_arg$2" ;;
	*)
		FORMAT+=" %d" VALUES+=", (int)\$_probe_arg$2" ;;
	esac
}

# commands PROBE NAME...
commands()
{
	local probe=$1 n=0 name
	shift

	FORMAT='' VALUES=''
	for name in "$@"; do
		argument "$name" $n
		n=$((n + 1))
	done
	cat << END
break -probe-stap libibclient:$probe
commands
silent
printf "saw: $probe$FORMAT\n"$VALUES
continue
end
END
}

[ "${2:-}" != without ] ||
	skip "the library was built without probes (no <sys/sdt.h>, or" \
		"IBC_USDT=OFF): install systemtap-sdt-dev"
command -v gdb > /dev/null || skip "it needs gdb, which is not installed"
{
	echo "set language c"
	while IFS='|' read -r _ PROBE _ NAMES _; do
		PROBE=$(tr -d '` ' <<< "$PROBE")
		echo "$PROBE" >> "$TMP/probes"
		IFS=', ' read -ra NAMES <<< "$NAMES"
		commands "$PROBE" "${NAMES[@]}"
	done < <(grep '^| `' Documentation/probes.md)
	echo "run > $TMP/did 2> $TMP/errors"
	echo 'printf "ended: %d\n", $_exitcode'
} > "$TMP/script"
timeout 120 gdb -nx -batch -x "$TMP/script" "$PROBED" < /dev/null \
	> "$TMP/gdb" 2>&1
grep -qi 'ptrace.*not permitted' "$TMP/gdb" &&
	skip "gdb may trace nobody here: $(grep -i -m1 ptrace "$TMP/gdb")"
sed -n 's/^saw: //p' "$TMP/gdb" > "$TMP/saw"
if ! grep -qx 'ended: 0' "$TMP/gdb"; then
	echo "test-probes: ${PROBED##*/} did not end well:"
	cat "$TMP/errors" "$TMP/gdb"
	exit 1
fi
diff -u --label "what the program did" --label "what gdb saw" "$TMP/did" \
	"$TMP/saw" || exit 1
while read -r PROBE; do
	grep -q "^$PROBE " "$TMP/saw" && continue
	echo "test-probes: $PROBE never fired: probed.c has to do what it takes"
	exit 1
done < "$TMP/probes"
echo "test-probes: $(wc -l < "$TMP/probes") probes, which fired" \
	"$(wc -l < "$TMP/saw") times: ok"
