# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Man pages: NAME.SECTION.md, in pandoc's markdown, becomes man/NAME.SECTION in
# the build tree. Each further name in a page's NAME section, as in
# "ibc_open, ibc_close - open and close", becomes an alias page.

include(${CMAKE_CURRENT_LIST_DIR}/man-names.cmake)

function(ibc_man_alias NAME SECTION TARGET)
	set(ALIAS ${PROJECT_BINARY_DIR}/man/${NAME}.${SECTION})
	file(WRITE ${ALIAS} ".so man${SECTION}/${TARGET}\n")
	install(FILES ${ALIAS} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${SECTION})
endfunction()

# One page; it may be named after the family instead of a function.
function(ibc_man_page PAGE RESULT)
	get_filename_component(FILE ${PAGE} NAME)
	string(REGEX REPLACE "\\.md$" "" FILE ${FILE})
	string(REGEX REPLACE ".*\\." "" SECTION ${FILE})
	set(OUTPUT ${PROJECT_BINARY_DIR}/man/${FILE})
	add_custom_command(OUTPUT ${OUTPUT}
		COMMAND expand -t 8 ${PAGE} > ${OUTPUT}.md
		COMMAND ${PANDOC} -s -f markdown -t man -o ${OUTPUT}.pandoc
			-M "footer=libibclient ${PROJECT_VERSION}"
			-M "header=libibclient" ${OUTPUT}.md
		COMMAND awk -f ${IBC_MAN_AWK} ${OUTPUT}.pandoc > ${OUTPUT}
		COMMAND ${CMAKE_COMMAND} -E remove ${OUTPUT}.md ${OUTPUT}.pandoc
		DEPENDS ${PAGE} ${IBC_MAN_AWK}
		COMMENT "Man page ${FILE}"
		VERBATIM)
	install(FILES ${OUTPUT} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${SECTION})
	ibc_man_names(${PAGE} NAMES)
	foreach(NAME ${NAMES})
		if(NOT "${NAME}.${SECTION}" STREQUAL FILE)
			ibc_man_alias(${NAME} ${SECTION} ${FILE})
		endif()
	endforeach()
	set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PAGE})
	set(${RESULT} ${${RESULT}} ${OUTPUT} PARENT_SCOPE)
endfunction()

# All pages of the directories given.
function(ibc_man_pages)
	file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/man)
	foreach(DIR ${ARGN})
		file(GLOB PAGES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${DIR}/*.md)
		if(NOT TARGET ibc_top)
			list(FILTER PAGES EXCLUDE REGEX "/ibc_top\\.1\\.md$")
		endif()
		foreach(PAGE ${PAGES})
			ibc_man_page(${PAGE} OUTPUTS)
		endforeach()
	endforeach()
	add_custom_target(man ALL DEPENDS ${OUTPUTS})
endfunction()

set(IBC_MAN_AWK ${CMAKE_CURRENT_LIST_DIR}/man.awk)
find_program(PANDOC pandoc)
if(PANDOC)
	set(IBC_MAN_DIRS libibclient/man libibclient_pd/man)
	if(TARGET ibclient-rdmacm)
		list(APPEND IBC_MAN_DIRS libibclient_rdmacm/man)
	endif()
	if(IBC_BUILD_SOFT)
		list(APPEND IBC_MAN_DIRS providers/soft/man)
	endif()
	if(IBC_BUILD_TOOLS)
		list(APPEND IBC_MAN_DIRS tools/man)
	endif()
	ibc_man_pages(${IBC_MAN_DIRS})
	include(cmake/html.cmake)
else()
	message(WARNING "pandoc is missing: no man pages will be built. "
		"Install it, or say -DIBC_BUILD_MAN=OFF.")
endif()
