# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# From a test of `ctest --show-only=json-v1` the lines of a CTestTestfile.cmake.

def quote: "[==[" + . + "]==]";
def property(name): [(.properties // [])[] | select(.name == name) | .value][0];
def labels: property("LABELS") // [];

# set(name; f): " NAME value", if the test has the property
def set(name; f): property(name) | if . == null then "" else " \(name) \(f)" end;

# lines(command; environment; slower): of lists of strings
def lines($command; $environment; $slower):
	"add_test(" + (.name | quote) + " " + ($command | map(quote) | join(" ")) + ")",
	"set_tests_properties(" + (.name | quote) + " PROPERTIES"
		+ " TIMEOUT \(((property("TIMEOUT") // 60) * $slower) | floor)"
		+ set("WORKING_DIRECTORY"; quote)
		+ set("SKIP_RETURN_CODE"; tostring)
		+ set("RUN_SERIAL"; "TRUE")
		+ set("COST"; tostring)
		+ set("LABELS"; join(";") | quote)
		+ " ENVIRONMENT " + ($environment | join(";") | quote) + ")";
