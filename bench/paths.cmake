# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# What is no lookup: starting up, events, removal. Some of it on softverbs, whose
# interposer the program puts before itself.
target_sources(bench-ibclient PRIVATE backend.c)
target_sources(ibc_bench PRIVATE removal.c)
target_include_directories(ibc_bench PRIVATE ${PROJECT_SOURCE_DIR}/libibclient)
if(IBC_BUILD_SOFT)
	include(${PROJECT_SOURCE_DIR}/tests/soft_preload.cmake)
	target_sources(ibc_bench PRIVATE soft.c startup.c events.c data.c)
	set(BENCH_PRELOAD ${SOFT_PRELOAD})
	if(TARGET ibclient-rdmacm AND TARGET softverbs-rdmacm)
		# as in libibclient_rdmacm, with our library
		target_sources(ibc_bench PRIVATE connect.c
			${PROJECT_SOURCE_DIR}/libibclient_rdmacm/keep.c
			${PROJECT_SOURCE_DIR}/libibclient_rdmacm/rdmacm.c)
		target_compile_definitions(ibc_bench PRIVATE BENCH_RDMACM)
		target_link_libraries(ibc_bench PRIVATE PkgConfig::RDMACM)
		add_dependencies(ibc_bench softverbs-rdmacm)
		string(REPLACE "$<TARGET_FILE:softverbs-preload>"
			"$<TARGET_FILE:softverbs-rdmacm>:$<TARGET_FILE:softverbs-preload>"
			BENCH_PRELOAD "${BENCH_PRELOAD}")
	endif()
	target_compile_definitions(ibc_bench PRIVATE
		BENCH_INTERPOSER="${BENCH_PRELOAD}")
	target_link_libraries(ibc_bench PRIVATE softverbs)
	add_dependencies(ibc_bench softverbs-preload)
endif()
