# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# The target `html`: man pages, README.md and Documentation/ as html/index.html in the
# build tree, from html/build. With IBC_INSTALL_HTML it belongs to `all`, and is
# installed.
set(HTML_DIR ${PROJECT_BINARY_DIR}/html)
if(IBC_INSTALL_HTML)
	set(HTML_ALL ALL)
	install(DIRECTORY ${HTML_DIR} DESTINATION ${CMAKE_INSTALL_DOCDIR})
endif()
add_custom_target(html ${HTML_ALL}
	COMMAND ${CMAKE_COMMAND} -E remove_directory ${HTML_DIR}
	COMMAND ${CMAKE_CURRENT_LIST_DIR}/html/build ${HTML_DIR}
	COMMENT "The manual as HTML: html/index.html"
	VERBATIM)
