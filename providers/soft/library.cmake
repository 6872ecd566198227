# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# libsoftverbs.so, in the build of this project
set(MAP ${CMAKE_CURRENT_SOURCE_DIR}/libsoftverbs.map)
add_library(softverbs SHARED $<TARGET_OBJECTS:softverbs-objects>)
target_include_directories(softverbs INTERFACE
	$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
	$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(softverbs PRIVATE Threads::Threads)
target_link_options(softverbs PRIVATE -Wl,--version-script=${MAP})
set_target_properties(softverbs PROPERTIES VERSION ${PROJECT_VERSION}
	SOVERSION 1 LINK_DEPENDS ${MAP})
install(TARGETS softverbs EXPORT softverbs-targets
	LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
configure_file(libsoftverbs.pc.in libsoftverbs.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/libsoftverbs.pc
	DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES ${PROJECT_SOURCE_DIR}/include/infiniband/softverbs.h
	DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/infiniband)
