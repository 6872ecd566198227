# bash completion for ibc_devices, ibc_monitor and ibc_top -*- shell-script -*-
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
#
# Installed by the name of each command, by which bash-completion finds it.
#
# cur, prev and split are _init_completion's.
# shellcheck disable=SC2154,SC2207

# The kernel's devices and, in a shell that softverbs env has put on a fabric, those
# there. Nothing is opened for it, and nothing said if it goes wrong.
_ibc_device_names() {
	local path line

	for path in /sys/class/infiniband/*; do
		[[ ! -e $path ]] || printf '%s\n' "${path##*/}"
	done
	[[ ${LD_PRELOAD:-} == *libsoftverbs* && -d ${SOFTVERBS_DIR:-} ]] || return
	timeout 2 softverbs list 2>/dev/null </dev/null |
		while IFS= read -r line; do
			[[ $line == $'\t'* ]] || printf '%s\n' "${line%%$'\t'*}"
		done
}

# what ibc_monitor --exit-on takes: its own events, and types of async events
_ibc_monitor_events='add remove gone rename async CQ_ERR QP_FATAL QP_REQ_ERR
	QP_ACCESS_ERR COMM_EST SQ_DRAINED PATH_MIG PATH_MIG_ERR DEVICE_FATAL
	PORT_ACTIVE PORT_ERR LID_CHANGE PKEY_CHANGE SM_CHANGE SRQ_ERR
	SRQ_LIMIT_REACHED QP_LAST_WQE_REACHED CLIENT_REREGISTER GID_CHANGE
	WQ_FATAL'

_ibc_tools_options() {
	case $1 in
	ibc_devices) echo -j --json -v --verbose -h --help --version ;;
	ibc_monitor) echo -j --json -t --time --hold --exit-on -h --help --version ;;
	ibc_top) printf '%s ' -d --delay -n --count -b --batch -j --json --dir \
		-h --help --version ;;
	esac
}

# _ibc_tools_value TOOL OPTION: true if the option takes a value
_ibc_tools_value() {
	case $1:$2 in
	ibc_monitor:--exit-on)
		COMPREPLY=($(compgen -W "$_ibc_monitor_events" -- "$cur")) ;;
	ibc_top:--dir) _filedir -d ;;
	ibc_monitor:-t | ibc_monitor:--time | ibc_monitor:--hold) ;;
	ibc_top:-d | ibc_top:--delay | ibc_top:-n | ibc_top:--count) ;;
	*) return 1 ;;
	esac
}

_ibc_tools() {
	local cur prev words cword split tool=${1##*/}

	_init_completion -s || return
	if [[ " ${words[*]:0:cword} " != *' -- '* ]]; then
		_ibc_tools_value "$tool" "$prev" && return
		[[ $split != true ]] || return
		if [[ $cur == -* ]]; then
			COMPREPLY=($(compgen -W "$(_ibc_tools_options "$tool")" \
				-- "$cur"))
			return
		fi
	fi
	if [[ $tool == ibc_top ]]; then
		_pids
	else
		COMPREPLY=($(compgen -W "$(_ibc_device_names)" -- "$cur"))
	fi
} &&
	complete -F _ibc_tools ibc_devices ibc_monitor ibc_top
