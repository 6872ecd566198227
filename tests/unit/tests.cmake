# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# tests/unit: pieces of the library, and the public interface as such
ibc_test(unit/test_uevent unit/fed.c)
ibc_test(unit/test_received unit/fed.c)
ibc_test(unit/test_netlink unit/played.c)
ibc_test(unit/test_netlink_parse unit/fed.c)
foreach(call socket setsockopt sendto recv recvfrom access)
	target_link_options(test_netlink PRIVATE -Wl,--wrap=${call})
endforeach()
ibc_test(unit/test_uevent_socket unit/played.c)
foreach(call socket bind recvfrom open ioctl)
	target_link_options(test_uevent_socket PRIVATE -Wl,--wrap=${call})
endforeach()
ibc_test(unit/test_inotify)
target_link_options(test_inotify PRIVATE -Wl,--wrap=inotify_add_watch)
ibc_test(unit/test_backend)
foreach(call ibv_get_sysfs_path ibv_get_device_guid ibv_open_device
		ibv_query_device open)
	target_link_options(test_backend PRIVATE -Wl,--wrap=${call})
endforeach()
ibc_test(unit/test_timer)
ibc_test(unit/test_linger contract/harness.c)
foreach(call sched_yield epoll_wait ibc__now_us)
	target_link_options(test_linger PRIVATE -Wl,--wrap=${call})
endforeach()
ibc_test(unit/test_slot contract/harness.c)
if(NOT IBC_SANITIZE AND CMAKE_SYSTEM_PROCESSOR STREQUAL x86_64)
	ibc_test(unit/test_steps contract/harness.c)
	set_tests_properties(test_steps PROPERTIES LABELS no-valgrind)
endif()
ibc_test(unit/test_ref contract/harness.c)
target_link_options(test_ref PRIVATE -Wl,--wrap=ibc__possible_cpus
	-Wl,--wrap=ibc__cpu_otherwise)
ibc_test(unit/test_cpu contract/harness.c)
target_link_options(test_cpu PRIVATE -Wl,--wrap=open
	-Wl,--wrap=sched_getcpu)
ibc_test(unit/test_shard)
ibc_test(unit/test_log contract/harness.c contract/scene.c)

# How much memory it takes: with a sanitizer, valgrind or qemu that is theirs.
if(NOT IBC_SANITIZE AND NOT CMAKE_CROSSCOMPILING_EMULATOR)
	ibc_test(unit/test_memory contract/harness.c)
	foreach(call malloc calloc realloc aligned_alloc free mmap munmap)
		target_link_options(test_memory PRIVATE -Wl,--wrap=${call})
	endforeach()
	if(EXISTS ${PROJECT_SOURCE_DIR}/libibclient/cpu.c)
		target_link_options(test_memory PRIVATE
			-Wl,--wrap=ibc__possible_cpus)
		target_compile_definitions(test_memory PRIVATE
			IBC_TEST_CPUS=256)
	endif()
	set_tests_properties(test_memory PROPERTIES LABELS no-valgrind)
endif()

# These use the shared library as it will be installed.
add_executable(test_version unit/test_version.c)
target_link_libraries(test_version PRIVATE ibclient PkgConfig::CMOCKA)
target_compile_definitions(test_version PRIVATE
	IBC_TEST_VERSION="${PROJECT_VERSION}")
add_test(NAME test_version COMMAND test_version)

# Where a sanitizer's instructions would be counted, or another machine's, or no
# limit is known, it has nothing to say.
add_executable(test_instructions unit/test_instructions.c)
target_link_libraries(test_instructions PRIVATE ibclient PkgConfig::CMOCKA)
target_compile_definitions(test_instructions PRIVATE _GNU_SOURCE
	IBC_TEST_SANITIZE="${IBC_SANITIZE}")
if(NOT IBC_SANITIZE AND CMAKE_SYSTEM_PROCESSOR STREQUAL x86_64)
	add_test(NAME test_instructions COMMAND test_instructions)
	set_tests_properties(test_instructions PROPERTIES TIMEOUT 300
		LABELS no-valgrind
		ENVIRONMENT "${IBC_TEST_ENVIRONMENT};LD_BIND_NOW=1")
	add_dependencies(coverage-tests test_instructions)
endif()

# Libraries that use it, and programs that load those.
function(two_libs_lib OWNER LIBRARY)
	add_library(two_libs_${OWNER} MODULE unit/two_libs/lib.c)
	target_link_libraries(two_libs_${OWNER} PRIVATE ${LIBRARY}
		Threads::Threads)
	target_compile_definitions(two_libs_${OWNER} PRIVATE OWNER="${OWNER}")
endfunction()
two_libs_lib(one ibclient)
two_libs_lib(two ibclient)

# the same file at another path is another library
set(IBC_TEST_COPY ${CMAKE_CURRENT_BINARY_DIR}/copy/libibclient.so)
add_custom_command(OUTPUT ${IBC_TEST_COPY}
	COMMAND ${CMAKE_COMMAND} -E copy $<TARGET_FILE:ibclient>
		${IBC_TEST_COPY}
	DEPENDS ibclient VERBATIM)
add_custom_target(copy_of_ibclient DEPENDS ${IBC_TEST_COPY})

foreach(name two_libs unload copies)
	add_executable(test_${name} unit/test_${name}.c unit/two_libs/load.c)
	target_include_directories(test_${name} PRIVATE unit/two_libs
		${PROJECT_SOURCE_DIR}/include)
	target_link_libraries(test_${name} PRIVATE PkgConfig::CMOCKA
		PkgConfig::IBVERBS Threads::Threads dl)
	target_compile_definitions(test_${name} PRIVATE _GNU_SOURCE
		IBC_TEST_ONE="$<TARGET_FILE:two_libs_one>"
		IBC_TEST_TWO="$<TARGET_FILE:two_libs_two>"
		IBC_TEST_LIB="$<TARGET_FILE:ibclient>"
		IBC_TEST_DIR="$<TARGET_FILE_DIR:ibclient>"
		IBC_TEST_COPY="${IBC_TEST_COPY}"
		IBC_TEST_VERSION="${PROJECT_VERSION}")
	add_dependencies(test_${name} two_libs_one two_libs_two
		copy_of_ibclient)
	add_test(NAME test_${name} COMMAND test_${name})
endforeach()
if(BUILD_STATIC)
	two_libs_lib(static ibclient-static)
	target_compile_definitions(test_copies PRIVATE
		IBC_TEST_STATIC="$<TARGET_FILE:two_libs_static>")
	add_dependencies(test_copies two_libs_static)
endif()
set_tests_properties(test_version test_two_libs test_unload test_copies
	PROPERTIES TIMEOUT 300 ENVIRONMENT "${IBC_TEST_ENVIRONMENT}")
add_dependencies(coverage-tests test_version test_two_libs test_unload
	test_copies)
# what the loader itself has lost when its processes exit would be a leak
set_tests_properties(test_unload PROPERTIES LABELS no-valgrind)

# What gdb looks at, see test-probes.sh; a sanitizer does not like to be traced.
ibc_program(probed unit/probed.c $<TARGET_OBJECTS:ibclient-objects>)
set(IBC_TEST_PROBES)
if(NOT IBC_HAVE_SDT)
	set(IBC_TEST_PROBES without)
endif()
if(NOT IBC_SANITIZE AND NOT CMAKE_CROSSCOMPILING)
	add_test(NAME probes_fire COMMAND
		${CMAKE_CURRENT_SOURCE_DIR}/unit/test-probes.sh
		$<TARGET_FILE:probed> ${IBC_TEST_PROBES})
	set_tests_properties(probes_fire PROPERTIES TIMEOUT 300
		SKIP_RETURN_CODE 77)
endif()

# Of texts, which are the same for all machines, and by this one's compiler.
if(CMAKE_CROSSCOMPILING)
	return()
endif()
add_test(NAME check-header COMMAND
	${CMAKE_CURRENT_SOURCE_DIR}/check-header.sh)
add_test(NAME check-symbols COMMAND
	${CMAKE_CURRENT_SOURCE_DIR}/check-symbols.sh
	$<TARGET_FILE:ibclient>)
add_test(NAME check-probes COMMAND
	${CMAKE_CURRENT_SOURCE_DIR}/check-probes.sh
	$<TARGET_FILE:ibclient> ${IBC_TEST_PROBES})
set_tests_properties(check-probes PROPERTIES SKIP_RETURN_CODE 77)
add_test(NAME check-versions COMMAND
	${CMAKE_CURRENT_SOURCE_DIR}/abi/check-versions
	$<TARGET_FILE_DIR:ibclient>)
add_test(NAME check-situations COMMAND
	${CMAKE_CURRENT_SOURCE_DIR}/check-situations.sh)
# A sanitizer's build imports the sanitizer too.
if(NOT IBC_SANITIZE)
	add_test(NAME check-imports COMMAND
		${CMAKE_CURRENT_SOURCE_DIR}/check-imports.sh
		$<TARGET_FILE:ibclient>)
endif()
# That they work, in a second or two; what they measure is no test.
if(IBC_BUILD_BENCH)
	add_test(NAME bench COMMAND
		${CMAKE_CURRENT_SOURCE_DIR}/unit/test-bench.sh
		$<TARGET_FILE:ibc_bench> ${PROJECT_SOURCE_DIR}/run)
	set_tests_properties(bench PROPERTIES TIMEOUT 300
		ENVIRONMENT "${IBC_TEST_ENVIRONMENT}")
endif()
