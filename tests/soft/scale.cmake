# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# softverbs: many devices, many processes, many removals

# soft_scale_program(NAME SOURCE)
function(soft_scale_program NAME SOURCE)
	add_executable(${NAME} ${SOURCE} scale.c soft_test.c)
	target_compile_definitions(${NAME} PRIVATE _GNU_SOURCE)
	target_link_libraries(${NAME} PRIVATE softverbs PkgConfig::CMOCKA
		PkgConfig::IBVERBS Threads::Threads ${CMAKE_DL_LIBS})
	add_dependencies(${NAME} softverbs-preload softverbs-cmd)
endfunction()

# soft_scale_test(NAME LABELS COMMAND...)
function(soft_scale_test NAME LABELS)
	add_test(NAME ${NAME} COMMAND ${ARGN})
	# without the caches of malloc, what is in use is what was not freed
	set_tests_properties(${NAME} PROPERTIES TIMEOUT 600
		LABELS "soft;no-valgrind;${LABELS}"
		ENVIRONMENT "${IBC_MANY_ENVIRONMENT};LD_PRELOAD=${SOFT_PRELOAD};SOFTVERBS=$<TARGET_FILE:softverbs-cmd>;GLIBC_TUNABLES=glibc.malloc.tcache_count=0")
endfunction()

soft_scale_program(soft_processes test_processes.c)
soft_scale_test(soft_processes "" soft_processes)

soft_scale_program(soft_hotplug test_hotplug.c)
target_link_libraries(soft_hotplug PRIVATE ibclient)
soft_scale_test(soft_hotplug "" soft_hotplug)

soft_scale_program(soft_scale test_scale.c)

soft_scale_program(soft_fair test_fair.c)
target_link_libraries(soft_fair PRIVATE ibclient)

# times are nobody's business but the machine's own while others run on it
if(NOT IBC_SANITIZE)
	soft_scale_test(soft_scale timing soft_scale)
	soft_scale_test(soft_hotplug_time timing soft_hotplug timed)
	soft_scale_test(soft_fair timing soft_fair)
	set_tests_properties(soft_scale soft_hotplug_time soft_fair PROPERTIES
		RUN_SERIAL TRUE)
endif()
