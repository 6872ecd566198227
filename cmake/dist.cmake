# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# cmake --build build -t dist: the source of the newest commit, as distributions take
# it. Times and owners are the commit's, so the same commit gives the same bytes.
# What Debian adds is in a tarball of its own.
find_package(Git QUIET)
set(DIST ${PROJECT_NAME}-${PROJECT_VERSION})
if(GIT_FOUND AND EXISTS ${PROJECT_SOURCE_DIR}/.git)
	add_custom_target(dist
		COMMAND ${GIT_EXECUTABLE} -C ${PROJECT_SOURCE_DIR} -c tar.umask=022 archive
			--format=tar --prefix=${DIST}/
			-o ${CMAKE_BINARY_DIR}/${DIST}.tar HEAD -- . :!debian
		COMMAND xz -f -T1 ${CMAKE_BINARY_DIR}/${DIST}.tar
		COMMENT "${DIST}.tar.xz" VERBATIM)
else()
	add_custom_target(dist
		COMMAND ${CMAKE_COMMAND} -E echo
			"dist: this is no clone of git: there is nothing to make a tarball of"
		COMMAND ${CMAKE_COMMAND} -E false VERBATIM)
endif()
