# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# From `ctest --show-only=json-v1`: a CTestTestfile.cmake with each program
# below $bin behind valgrind: each $of-th, from the one that has the $turn. Tests
# labelled "no-valgrind" are left out. What is
# only possibly lost is no error: lists of libnl, stacks of threads that run at
# exit. Without fair scheduling a thread that sends signals can keep the one that
# is to handle them from ever running.
include "ctest";

[.tests[]
| select(.command != null and (.command[0] | startswith($bin)))
| select(labels | index("no-valgrind") | not)]
| to_entries[] | select(.key % $of == $turn) | .value
| lines(["valgrind", "-q", "--fair-sched=yes", "--error-exitcode=99",
		"--leak-check=full", "--show-leak-kinds=definite,indirect",
		"--errors-for-leak-kinds=definite,indirect"] + .command;
	(property("ENVIRONMENT") // []) + ["IBC_UNDER_VALGRIND=1"]; 5)
