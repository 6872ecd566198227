# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB

# The names of a page, as a list, in the order of its NAME section.
function(ibc_man_names PAGE RESULT)
	file(STRINGS ${PAGE} LINES REGEX "^[a-z0-9_, ]+ - ")
	list(GET LINES 0 LINE)
	string(REGEX REPLACE " - .*" "" NAMES "${LINE}")
	string(REPLACE ", " ";" NAMES "${NAMES}")
	set(${RESULT} ${NAMES} PARENT_SCOPE)
endfunction()
