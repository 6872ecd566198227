# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# From `ctest --show-only=json-v1`: a CTestTestfile.cmake with each program
# below $bin behind valgrind. Tests labelled "no-valgrind" are left out. What is
# only possibly lost is no error: lists of libnl, stacks of threads that run at
# exit. Without fair scheduling a thread that sends signals can keep the one that
# is to handle them from ever running.

def quote: "[==[" + . + "]==]";
def property(name): [(.properties // [])[] | select(.name == name) | .value][0];
def list: map(tostring) | join(";");

.tests[]
| select(.command != null and (.command[0] | startswith($bin)))
| select((property("LABELS") // []) | index("no-valgrind") | not)
| "add_test(" + (.name | quote) + " valgrind -q --fair-sched=yes --error-exitcode=99 "
	+ "--leak-check=full --show-leak-kinds=definite,indirect "
	+ "--errors-for-leak-kinds=definite,indirect "
	+ (.command | map(quote) | join(" ")) + ")",
  "set_tests_properties(" + (.name | quote) + " PROPERTIES"
	+ " TIMEOUT " + (((property("TIMEOUT") // 60) * 5) | floor | tostring)
	+ " WORKING_DIRECTORY "
	+ ((property("WORKING_DIRECTORY") // ".") | quote)
	+ (if property("SKIP_RETURN_CODE") then
		" SKIP_RETURN_CODE \(property("SKIP_RETURN_CODE"))" else "" end)
	+ " ENVIRONMENT " + (((property("ENVIRONMENT") // [])
		+ ["IBC_UNDER_VALGRIND=1"]) | list | quote)
	+ (if property("RUN_SERIAL") then " RUN_SERIAL TRUE" else "" end)
	+ ")"
