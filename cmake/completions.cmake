# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Completions for bash, each by the name of its command, in the directory where
# bash-completion looks for them: as its pkg-config file says, but of our own prefix.
set(IBC_COMPLETIONS_DIR)
pkg_check_modules(BASH_COMPLETION QUIET bash-completion)
if(BASH_COMPLETION_FOUND)
	execute_process(COMMAND ${PKG_CONFIG_EXECUTABLE} bash-completion
		--define-variable=datadir=${CMAKE_INSTALL_DATADIR}
		--variable=completionsdir
		OUTPUT_VARIABLE IBC_COMPLETIONS_DIR
		OUTPUT_STRIP_TRAILING_WHITESPACE)
endif()
# it is not there, or names a directory that is not below datadir
if(NOT IBC_COMPLETIONS_DIR MATCHES "^${CMAKE_INSTALL_DATADIR}/")
	set(IBC_COMPLETIONS_DIR
		${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
endif()

function(ibc_completion FILE COMMAND)
	install(FILES ${PROJECT_SOURCE_DIR}/completions/${FILE}.bash
		DESTINATION ${IBC_COMPLETIONS_DIR} RENAME ${COMMAND})
endfunction()

if(IBC_BUILD_SOFT)
	ibc_completion(softverbs softverbs)
endif()
foreach(TOOL ibc_devices ibc_monitor ibc_top)
	if(TARGET ${TOOL})
		ibc_completion(ibc_tools ${TOOL})
	endif()
endforeach()
