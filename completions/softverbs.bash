# bash completion for softverbs                        -*- shell-script -*-
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
#
# Names, ports and objects are what `softverbs list` says at that moment. It is asked
# only where the fabric's directory is there: completing a word makes none. What goes
# wrong is not said: there is nothing to complete then.
#
# cur, prev, words, cword and split are _init_completion's.
# shellcheck disable=SC2154,SC2207

# _softverbs_list COMMAND [OPTION]: of the fabric that the words so far name
_softverbs_list() {
	local i dir=${SOFTVERBS_DIR:-${XDG_RUNTIME_DIR:+$XDG_RUNTIME_DIR/softverbs}}

	dir=${dir:-/tmp/softverbs-$UID}
	for ((i = 1; i < cword; i++)); do
		case ${words[i]} in
		--) break ;;
		--dir=*) dir=${words[i]#*=} ;;
		--dir) ((i + 1 < cword)) && dir=${words[i + 1]} ;;
		esac
	done
	dir=${dir/#\~\//$HOME/}
	[[ -d $dir ]] || return
	timeout 2 "${1/#\~\//$HOME/}" --dir "$dir" list "${@:2}" \
		2>/dev/null </dev/null
}

_softverbs_devices() {
	_softverbs_list "$1" | while IFS= read -r line; do
		[[ $line == $'\t'* ]] || printf '%s\n' "${line%%$'\t'*}"
	done
}

# _softverbs_numbers COMMAND DEVICE KEY: port, pid, or those in the array qps, cqs, …
_softverbs_numbers() {
	_softverbs_list "$1" -j | grep -F "{\"device\":\"$2\"," |
		grep -oE "\"$3\":(\[[0-9,]*|[0-9]+)" | grep -oE '[0-9]+'
}

# The names that `event` and `fault` take; softverbs(7) has them too.
_softverbs_types='CQ_ERR QP_FATAL QP_REQ_ERR QP_ACCESS_ERR COMM_EST SQ_DRAINED
	PATH_MIG PATH_MIG_ERR DEVICE_FATAL PORT_ACTIVE PORT_ERR LID_CHANGE
	PKEY_CHANGE SM_CHANGE SRQ_ERR SRQ_LIMIT_REACHED QP_LAST_WQE_REACHED
	CLIENT_REREGISTER GID_CHANGE WQ_FATAL'
_softverbs_verbs='open close query_device query_device_ex query_port query_gid
	query_gid_ex query_gid_table query_pkey query_rt_values alloc_pd
	dealloc_pd alloc_parent_domain alloc_td dealloc_td reg_mr rereg_mr
	dereg_mr reg_dmabuf_mr advise_mr alloc_mw dealloc_mw bind_mw alloc_dm
	free_dm create_comp_channel destroy_comp_channel create_cq create_cq_ex
	resize_cq modify_cq destroy_cq poll_cq req_notify_cq get_cq_event
	get_async_event create_srq create_srq_ex modify_srq query_srq
	destroy_srq post_srq_recv create_qp create_qp_ex modify_qp query_qp
	destroy_qp post_send post_recv create_ah destroy_ah attach_mcast
	detach_mcast create_flow destroy_flow create_wq modify_wq destroy_wq
	create_rwq_ind_table destroy_rwq_ind_table open_xrcd close_xrcd
	import_device import_pd import_mr'
_softverbs_errors='EPERM ENOENT EINTR EIO ENXIO E2BIG EBADF EAGAIN ENOMEM EACCES
	EFAULT EBUSY EEXIST ENODEV EINVAL ENFILE EMFILE ENOTTY ENOSPC EROFS
	ERANGE ENOSYS ENODATA ETIME ENOLINK EPROTO EOVERFLOW EOPNOTSUPP
	EADDRNOTAVAIL ENETDOWN ENETUNREACH ECONNABORTED ECONNRESET ENOBUFS
	ETIMEDOUT EHOSTUNREACH ESHUTDOWN ESTALE EDQUOT ECANCELED
	EPROTONOSUPPORT'

# the options of a command, but for those that all have
_softverbs_options() {
	case $1 in
	run) printf "%s\n" -n --removal ;;
	add) echo --guid --ports --link --removal ;;
	remove) echo --timeout ;;
	list) echo -j --json ;;
	event) echo --port --qp --cq --srq --wq --pid --count ;;
	esac
}

_softverbs_takes_value() {
	[[ $1 == @(-n|--@(dir|removal|guid|ports|link|timeout|port|qp|cq|srq|wq|pid|count)) ]]
}

_softverbs_offer() {
	COMPREPLY+=($(compgen -W "$1" -- "$cur"))
}

# _softverbs_value COMMAND OPTION DEVICE
_softverbs_value() {
	case $2 in
	--dir) _filedir -d ;;
	--removal) _softverbs_offer 'fatal wait' ;;
	--link) _softverbs_offer 'roce ib' ;;
	--port) _softverbs_offer "$(_softverbs_numbers "$1" "$3" port)" ;;
	--pid) _softverbs_offer "$(_softverbs_numbers "$1" "$3" pid)" ;;
	--qp | --cq | --srq | --wq)
		_softverbs_offer "$(_softverbs_numbers "$1" "$3" "${2#--}s")" ;;
	esac
}

# A word of `fault`. What is behind = is a word of its own for readline, if = is
# one of COMP_WORDBREAKS.
_softverbs_fault() {
	local before=${cur%%=*}=

	if [[ $cur != *=* ]]; then
		_softverbs_offer none
		COMPREPLY+=($(compgen -S = -W "$_softverbs_verbs" -- "$cur"))
	elif [[ $cur != *:* ]]; then
		[[ $COMP_WORDBREAKS == *=* ]] && before=
		COMPREPLY=($(compgen -P "$before" \
			-W "$_softverbs_errors delay:" -- "${cur#*=}"))
	fi
	[[ ${COMPREPLY[*]} != *[=:] ]] || compopt -o nospace 2>/dev/null
}

# _softverbs_operand COMMAND SUBCOMMAND OPERAND…: the next one
_softverbs_operand() {
	local command=$1 place=$2:$(($# - 2))

	case $place in
	remove:0 | rename:0 | port:0 | gid:0 | pkey:0 | event:0 | fault:0)
		_softverbs_offer "$(_softverbs_devices "$command")" ;;
	port:1 | gid:1 | pkey:1)
		_softverbs_offer "$(_softverbs_numbers "$command" "$3" port)" ;;
	port:2) _softverbs_offer 'up down' ;;
	gid:2 | pkey:2) _softverbs_offer "$(echo {0..15})" ;;
	gid:3) _softverbs_offer none ;;
	event:1) _softverbs_offer "$_softverbs_types" ;;
	fault:*) _softverbs_fault ;;
	esac
}

# `run … CMD…`: where CMD is in COMP_WORDS, in which = is a word of its own
_softverbs_command_at() {
	local i run=

	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--) echo $((i + 1)) && return ;;
		-n | --dir | --removal)
			i=$((i + 1))
			[[ ${COMP_WORDS[i]} != = ]] || i=$((i + 1)) ;;
		-*) ;;
		*)
			[[ ! $run ]] || { echo $i; return; }
			run=yes ;;
		esac
	done
	# it is the word that is completed, if that is no option and no value of one
	[[ ! $run || $i != "$COMP_CWORD" || ${COMP_WORDS[i]} == -* ]] || echo $i
}

_softverbs() {
	local cur prev words cword split i at sub='' only_operands='' operands=()
	local commands='run env add remove rename list port gid pkey event fault'

	_init_completion -s -n : || return
	for ((i = 1; i < cword; i++)); do
		if [[ $only_operands || ${words[i]} != -* ]]; then
			[[ $sub ]] && operands+=("${words[i]}") || sub=${words[i]}
		elif [[ ${words[i]} == -- ]]; then
			only_operands=yes
		elif _softverbs_takes_value "${words[i]}"; then
			i=$((i + 1))
		fi
	done
	if [[ $sub == run ]]; then
		at=$(_softverbs_command_at)
		[[ ! $at ]] || { _command_offset "$at"; return; }
	fi
	if [[ ! $only_operands ]] && _softverbs_takes_value "$prev"; then
		_softverbs_value "$1" "$prev" "${operands[0]}"
	elif [[ $split == true ]]; then
		return
	elif [[ ! $only_operands && $cur == -* ]]; then
		_softverbs_offer "--dir --help --version"
		[[ $sub ]] || _softverbs_offer -h
		COMPREPLY+=($(compgen -W "$(_softverbs_options "$sub")" -- "$cur"))
	elif [[ ! $sub ]]; then
		_softverbs_offer "$commands"
	else
		_softverbs_operand "$1" "$sub" "${operands[@]}"
	fi
} &&
	complete -F _softverbs softverbs
