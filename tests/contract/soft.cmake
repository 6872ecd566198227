# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# The guarantees once more, on softverbs: the same tests, but for those that need
# what no kernel does on command (ON_FAKE in harness.h).
add_library(ibc-soft STATIC fake/calls.c fake/soft.c fake/soft_plug.c
	contract/record.c contract/harness.c contract/harness2.c
	contract/ear.c contract/scene.c contract/status_reader.c)
target_include_directories(ibc-soft PUBLIC fake contract
	${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/libibclient
	${PROJECT_SOURCE_DIR}/providers/soft)
target_compile_definitions(ibc-soft PUBLIC _GNU_SOURCE IBC_ON_SOFTVERBS)
target_link_libraries(ibc-soft PUBLIC PkgConfig::CMOCKA PkgConfig::JANSSON
	PkgConfig::IBVERBS Threads::Threads)

# times mean nothing with a sanitizer
if(NOT IBC_SANITIZE)
	set(timed close_time)
endif()

# on_soft(TARGET SOURCE…)
function(on_soft target)
	add_executable(${target} ${ARGN} $<TARGET_OBJECTS:ibclient-objects>
		$<TARGET_OBJECTS:softverbs-objects>)
	target_link_libraries(${target} PRIVATE ibc-soft ${CMAKE_DL_LIBS})
	add_dependencies(${target} softverbs-preload softverbs-cmd)
	add_test(NAME ${target} COMMAND ${target})
	set(environment "${IBC_MANY_ENVIRONMENT}" "LD_PRELOAD=${SOFT_PRELOAD}"
		"SOFTVERBS_COMMAND=$<TARGET_FILE:softverbs-cmd>")
	set_tests_properties(${target} PROPERTIES TIMEOUT 300
		LABELS "soft;no-valgrind" ENVIRONMENT "${environment}")
endfunction()

foreach(name add order callbacks calls register unregister async data cycle
	signal refs set adopt removal trigger incarnation event handler fence walk
	fair situations sticky empty open sources sink dump process fork objects
	handler_objects holders tracking loop child interrupt status ${timed})
	on_soft(on_soft_${name} contract/test_${name}.c)
endforeach()

# All but those of how devices are opened, go and come back, and of their objects.
foreach(name add order callbacks calls register unregister async cycle signal refs set
	trigger event handler fence walk fair situations sticky empty sources sink
	dump process fork holders tracking loop interrupt)
	ibc_again(. on_soft_${name})
endforeach()

on_soft(on_soft_torture ${TORTURE})
set_tests_properties(on_soft_torture PROPERTIES TIMEOUT 4000)

# these go through all of backend.c
add_dependencies(coverage-tests on_soft_open on_soft_objects on_soft_adopt)

foreach(name holders tracking)
	target_sources(on_soft_${name} PRIVATE contract/held.c)
	add_dependencies(on_soft_${name} holder_lib holder_lib_stripped)
	set_property(TEST on_soft_${name} APPEND PROPERTY
		ENVIRONMENT ${HOLDER_LIBS})
endforeach()

foreach(name ${timed})
	set_tests_properties(on_soft_${name} PROPERTIES RUN_SERIAL TRUE
		LABELS "soft;no-valgrind;timing")
endforeach()
