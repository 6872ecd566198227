# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# The libraries inside of rdma-core's source, built by its functions. Its
# CMakeLists.txt includes this file behind add_subdirectory(librdmacm/man); see
# Documentation/in-tree.md. The directories are where they are here, and each
# CMakeLists.txt sees that there is rdma_library() and calls ibc_rdma_core_library().
include(${CMAKE_CURRENT_LIST_DIR}/man-names.cmake)

# ibc_rdma_core_library(NAME MAP HEADER SOURCE…): libNAME, its public header, its man
# pages, its .pc, which requires libibverbs and what is in IBC_REQUIRES
function(ibc_rdma_core_library NAME MAP HEADER)
	add_compile_definitions(_GNU_SOURCE)
	publish_headers(infiniband
		../${IBC_UP}include/infiniband/${HEADER})
	rdma_library(${NAME} ${MAP} ${IBC_SOVERSION} ${PROJECT_VERSION} ${ARGN})
	rdma_pkg_config(${NAME} "${IBC_REQUIRES}libibverbs"
		"${CMAKE_THREAD_LIBS_INIT}")
	file(GLOB PAGES RELATIVE ${CMAKE_CURRENT_SOURCE_DIR}
		CONFIGURE_DEPENDS man/*.md)
	rdma_man_pages(${PAGES})
	foreach(PAGE ${PAGES})
		string(REGEX REPLACE "^man/(.*)\\.md$" "\\1" FILE ${PAGE})
		string(REGEX REPLACE ".*\\." "" SECTION ${FILE})
		ibc_man_names(${CMAKE_CURRENT_SOURCE_DIR}/${PAGE} NAMES)
		foreach(ALIAS ${NAMES})
			if(NOT "${ALIAS}.${SECTION}" STREQUAL FILE)
				rdma_alias_man_pages(${FILE} ${ALIAS}.${SECTION})
			endif()
		endforeach()
	endforeach()
endfunction()

# A function, for variables that are not rdma-core's business.
function(ibc_rdma_core)
	# What is found by pkg-config elsewhere is a target of this build.
	foreach(PAIR IBVERBS=ibverbs RDMACM=rdmacm)
		string(REPLACE "=" ";" PAIR ${PAIR})
		list(GET PAIR 0 MODULE)
		list(GET PAIR 1 LIBRARY)
		add_library(PkgConfig::${MODULE} INTERFACE IMPORTED)
		target_link_libraries(PkgConfig::${MODULE} INTERFACE ${LIBRARY})
	endforeach()
	# the version of the ABI, then that of the release, as all libraries there
	set(PROJECT_VERSION 1.0.${PACKAGE_VERSION})
	set(IBC_SOVERSION 1)
	add_subdirectory(libibclient)
	add_subdirectory(libibclient_pd)
	add_subdirectory(libibclient_rdmacm)
	add_subdirectory(providers/soft)
endfunction()

ibc_rdma_core()
