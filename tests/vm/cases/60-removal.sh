# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# shellcheck source=tests/vm/cases/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# The table of removals: drivers, ways to remove, and each source of news alone.
# A cell is one device, one run of vm_removal, one command. It says
#
#   SOURCE 1.2 +3.4    what told the library first; milliseconds from the
#                      kernel's first sign, a uevent or inotify, to the entry of
#                      remove(); from the last put to the command's return
#   SOURCE 1.2 -       the command had returned before the put
#   blind              this source cannot know: no remove() until ibc_rescan()
#   refused            the kernel does not do it, and nothing happened
#
# Each cell has one remove(), but the refused ones, which have none.

# What IBC_SOURCES may name. One that this library does not know has no line.
# What an open device's context tells (async, probe) must be left out expressly.
declare -ga table_sources=(all uevent netlink inotify async probe timer)

# Sets $chosen.
choose() {
	local words=$1
	chosen=()
	[ "$1" != all ] || return 0
	[ "$1" = async ] || words+=,-async
	[ "$1" = probe ] || words+=,-probe
	chosen=(env "IBC_SOURCES=$words")
}

# How long a source that cannot know is watched.
blind_ms=300

declare -gA cells=() # this file is read in a function

# can_tell DRIVER WAY SOURCE: does the kernel let this source know before the
# device is closed?
can_tell() {
	case $1-$3 in
	*-all | *-uevent | *-inotify | *-timer) ;;
	# With others UNREGISTER comes last; 6.1 sends nothing at all, and a
	# move is no unregistering.
	patched-netlink) [[ $2 != netns && $(uname -r) != 6.1.* ]] ;;
	# Only what disassociates says DEVICE_FATAL.
	patched-async) ;;
	# The verb is asked when a hint or the timer gives reason.
	*) false ;;
	esac
}

# is_refused DRIVER WAY
is_refused() {
	case $1-$2 in
	patched-*) false ;;
	*-rmmod | *-netns) ;;
	*) false ;;
	esac
}

# make_device DRIVER: what was refused has left the last one there.
make_device() {
	[ ! -e /sys/class/infiniband/dev0 ] || return 0
	case $1 in
	stock) have_rxe dev0 ;;
	patched)
		[ -e /sys/module/rdma_rxe ] || load_patched_rxe
		add_rxe dev0
		;;
	siw)
		[ -e /sys/module/siw ] || load_built siw.ko siw
		make_netdev ibc-dev0
		rdma link add dev0 type siw netdev ibc-dev0
		;;
	esac
}

# Sets $command.
removing_command() {
	case $2 in
	delete) command=(rdma link delete dev0) ;;
	netdev) command=(ip link delete ibc-dev0) ;;
	netns) command=(rdma dev set dev0 netns ibc-other) ;;
	rmmod)
		command=(rmmod rdma_rxe)
		[ "$1" != siw ] || command=(rmmod siw)
		;;
	esac
}

# set_ms NAME MICROSECONDS. Below zero: the library woke up before the readers.
set_ms() {
	local abs=${2#-} sign=
	[ "$2" = "$abs" ] || sign=-
	printf -v "$1" '%s%d.%d' "$sign" $((abs / 1000)) $((abs % 1000 / 100))
}

# Sets $text: what vm_removal printed, in words.
tell_cell() {
	local first after held=-
	if [ "$status" != 0 ]; then
		text=refused
	elif [ "$blind" = 1 ]; then
		text=blind
	else
		first=${reason##*(told by }
		set_ms after "$sign_us"
		[ "$put_us" -lt 0 ] || {
			set_ms held "$put_us"
			held=+$held
		}
		text="${first%)} $after $held"
	fi
}

# run_cell DRIVER WAY SOURCE
run_cell() {
	local status removes blind sign_us put_us reason command text line
	local wait=20000
	local options=() chosen=()
	make_device "$1"
	removing_command "$1" "$2"
	can_tell "$1" "$2" "$3" || wait=$blind_ms
	[ "$1" != patched ] || options=(-k)
	choose "$3"
	line=$("${chosen[@]}" vm_removal -w $wait "${options[@]}" dev0 \
		"${command[@]}" 2>"$IBC_RUN/said") || {
		cat "$IBC_RUN/said"
		return 1
	}
	echo "$1 $2 $3: $line"
	eval "$line"
	tell_cell
	cells[$2-$3]=$text
	check_cell "$@" || wrong+=("$1, $2, $3: $line")
	[ "$2" != netns ] || [ "$status" != 0 ] ||
		ip netns exec ibc-other rdma link delete dev0
}

# check_cell DRIVER WAY SOURCE, with the variables of run_cell
check_cell() {
	if is_refused "$1" "$2"; then
		[ "$status" != 0 ] && [ "$removes" = 0 ] &&
			grep -q -E 'in use|not supported' "$IBC_RUN/said"
	elif can_tell "$@"; then
		[ "$status-$removes-$blind" = 0-1-0 ] &&
			{ [ "$3" = all ] || [[ ${cells[$2-$3]} == "$3 "* ]]; }
	else
		[ "$status-$removes-$blind" = 0-1-1 ]
	fi
}

# print_table TITLE WAY…
print_table() {
	local title=$1 way source line
	shift
	line=$(printf '%-10s' "$title")
	for way in "$@"; do
		line+=$(printf '%-20s' "$(way_title "$way")")
	done
	measured "$line"
	for source in "${known_sources[@]}"; do
		line=$(printf '  %-8s' "$source")
		for way in "$@"; do
			line+=$(printf '%-20s' "${cells[$way-$source]}")
		done
		measured "$line"
	done
}

way_title() {
	case $1 in
	delete) echo "rdma link delete" ;;
	netdev) echo "ip link del" ;;
	netns) echo "namespace move" ;;
	rmmod) echo "rmmod" ;;
	esac
}

# Sets $known_sources; one that the table does not have is a failure.
find_sources() {
	local known source
	known=$(vm_removal -s | cut -d : -f 1)
	known_sources=()
	for source in "${table_sources[@]}"; do
		if [ "$source" = all ] || grep -qx "$source" <<<"$known"; then
			known_sources+=("$source")
		fi
	done
	check "the table has each source of: $known" \
		test $((${#known_sources[@]} - 1)) = "$(wc -l <<<"$known")"
}

# table DRIVER WAY…
table() {
	local driver=$1 way source known_sources wrong=()
	shift
	find_sources
	for way in "$@"; do
		for source in "${known_sources[@]}"; do
			run_cell "$driver" "$way" "$source"
		done
	done
	print_table "$driver" "$@"
	printf 'not as it should be: %s\n' "${wrong[@]}"
	check "every cell is as it should be" test ${#wrong[@]} = 0
}

# Namespaces that share no devices; this must come before there is a second one.
own_namespaces() {
	check "exclusive" until_true 5 rdma system set netns exclusive
	trap 'ip netns delete ibc-other
		until_true 5 rdma system set netns shared' EXIT
	ip netns add ibc-other
}

case_removal_table_stock() { # 240 s
	load_rxe
	own_namespaces
	table stock delete netdev rmmod netns
}

case_removal_table_siw() { # 240 s
	modprobe ib_uverbs
	own_namespaces
	table siw delete netdev rmmod netns
}

case_removal_table_patched() { # 240 s
	load_patched_rxe
	own_namespaces
	table patched delete netdev rmmod netns
}
