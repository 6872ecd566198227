# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# find_package(ibclient) and find_package(softverbs): what is installed, as targets
#
#	ibclient::ibclient	always
#	ibclient::pd, ::rdmacm, ::static	components, as far as they were built
#	softverbs::softverbs
include(CMakePackageConfigHelpers)

# package_of(NAME): its config file and version
function(package_of NAME)
	set(DIR ${CMAKE_INSTALL_LIBDIR}/cmake/${NAME})
	configure_package_config_file(cmake/${NAME}-config.cmake.in
		${NAME}-config.cmake INSTALL_DESTINATION ${DIR})
	write_basic_package_version_file(${NAME}-config-version.cmake
		COMPATIBILITY SameMajorVersion)
	install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${NAME}-config.cmake
		${CMAKE_CURRENT_BINARY_DIR}/${NAME}-config-version.cmake
		DESTINATION ${DIR})
endfunction()

# targets_of(NAME EXPORT): what was given to install(TARGETS EXPORT)
function(targets_of NAME EXPORT)
	install(EXPORT ${EXPORT} NAMESPACE ${NAME}::
		DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/${NAME})
endfunction()

package_of(ibclient)
targets_of(ibclient ibclient-targets)
targets_of(ibclient ibclient-pd-targets)
if(BUILD_STATIC)
	targets_of(ibclient ibclient-static-targets)
endif()
if(TARGET ibclient-rdmacm)
	targets_of(ibclient ibclient-rdmacm-targets)
endif()
if(IBC_BUILD_SOFT)
	package_of(softverbs)
	targets_of(softverbs softverbs-targets)
endif()
