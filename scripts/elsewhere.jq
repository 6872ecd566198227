# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# From `ctest --show-only=json-v1`: a CTestTestfile.cmake with the tests that
# have the label $with and none of the labels $without, a list of words, where what is
# below $bin and $src is now below $new_bin and $new_src.
include "ctest";

def moved:
	if type == "array" then map(moved)
	else split($bin) | join($new_bin) | split($src) | join($new_src) end;

.tests[]
| select(.command != null)
| select(labels | index($with))
| select(labels - ($without | split(" ")) == labels)
| (if property("WORKING_DIRECTORY") then .properties |= map(
	if .name == "WORKING_DIRECTORY" then .value |= moved else . end)
	else . end)
| lines(.command | moved;
	((property("ENVIRONMENT") // []) | moved)
		+ (if any((property("ENVIRONMENT") // [])[];
			startswith("LD_LIBRARY_PATH=")) then []
			else ["LD_LIBRARY_PATH=" + $new_bin + "/lib"] end); 1)
