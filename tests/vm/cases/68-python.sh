# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
# shellcheck source=tests/vm/cases/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# The binding for Python on rxe, with this system's pyverbs.

have_python() {
	/usr/bin/python3 -c 'import ibclient, pyverbs.device' || {
		echo "the binding for Python or pyverbs was not there"
		exit 77
	}
}

python_program() {
	# shellcheck disable=SC2154 # of guest-cases
	/usr/bin/python3 -u -X dev "$here/../python/on_rxe.py" "$@"
}

case_python() {
	export PYTHONPATH=$IBC_RUN/lib/python PYTHONDONTWRITEBYTECODE=1
	have_python
	have_rxe rxe0 rxe1
	python_program rxe0 rxe1
}
