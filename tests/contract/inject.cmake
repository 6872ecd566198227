# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# ibc-injected: the library's objects, in which what imports.txt lists is called
# inject_NAME: ${INJECTED}. The library ibc-injected has the functions of inject.h.
set(IMPORTS ${CMAKE_CURRENT_SOURCE_DIR}/contract/imports.txt)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${IMPORTS})
file(STRINGS ${IMPORTS} lines REGEX "^inject ")
set(renamed "")
foreach(line ${lines})
	string(REGEX REPLACE "^inject ([a-z0-9_]+).*" "\\1 inject_\\1" line
		"${line}")
	string(APPEND renamed "${line}\n")
endforeach()
file(GENERATE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/injected.syms
	CONTENT "${renamed}")

separate_arguments(flags UNIX_COMMAND "${CMAKE_C_FLAGS}")
set(INJECTED ${CMAKE_CURRENT_BINARY_DIR}/injected.o)
add_custom_command(OUTPUT ${INJECTED}
	COMMAND ${CMAKE_C_COMPILER} ${flags} -nostdlib -r -o ${INJECTED}
		$<TARGET_OBJECTS:ibclient-objects>
	COMMAND ${CMAKE_OBJCOPY}
		--redefine-syms=${CMAKE_CURRENT_BINARY_DIR}/injected.syms
		${INJECTED}
	DEPENDS ibclient-objects $<TARGET_OBJECTS:ibclient-objects>
		${CMAKE_CURRENT_BINARY_DIR}/injected.syms
	COMMAND_EXPAND_LISTS VERBATIM)
set_source_files_properties(${INJECTED} PROPERTIES EXTERNAL_OBJECT TRUE
	GENERATED TRUE)
add_custom_target(injected-object DEPENDS ${INJECTED})
add_library(ibc-injected STATIC contract/inject.c contract/inject_stdio.c
	contract/inject_verbs.c)
add_dependencies(ibc-injected injected-object)
target_include_directories(ibc-injected PUBLIC contract
	PRIVATE ${PROJECT_SOURCE_DIR}/libibclient
	${PROJECT_SOURCE_DIR}/include)
target_compile_definitions(ibc-injected PRIVATE _GNU_SOURCE)
target_link_libraries(ibc-injected PUBLIC PkgConfig::IBVERBS Threads::Threads)
