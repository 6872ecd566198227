# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Whether the binding for Python can be built, with what, and where it goes. Nothing
# is built by default with a sanitizer, which an interpreter does not have, or for
# another machine.
set(IBC_PYTHON "" CACHE FILEPATH
	"Python for the binding; empty: /usr/bin/python3, else the first in PATH")
# no PATH, which would be made absolute
set(IBC_PYTHON_DIR "" CACHE STRING
	"Where Python's package goes; empty: below the prefix, as that Python has it")

set(python_missing "")
if(IBC_BUILD_PYTHON STREQUAL "AUTO" AND (IBC_SANITIZE OR CMAKE_CROSSCOMPILING))
	set(python_missing "not with a sanitizer or for another machine")
else()
	if(IBC_PYTHON)
		set(Python3_EXECUTABLE ${IBC_PYTHON})
	elseif(EXISTS /usr/bin/python3)
		set(Python3_EXECUTABLE /usr/bin/python3)
	endif()
	if(CMAKE_VERSION VERSION_LESS 3.18)
		find_package(Python3 3.8 COMPONENTS Interpreter Development)
	else()
		find_package(Python3 3.8 COMPONENTS Interpreter Development.Module)
	endif()
	find_program(IBC_CYTHON NAMES cython3 cython)
	if(NOT Python3_FOUND)
		set(python_missing "no Python 3.8 or newer with its headers")
	elseif(NOT IBC_CYTHON)
		set(python_missing "no Cython")
	endif()
endif()

if(python_missing AND NOT IBC_BUILD_PYTHON STREQUAL "AUTO")
	message(FATAL_ERROR "IBC_BUILD_PYTHON: ${python_missing}")
elseif(python_missing)
	message(STATUS "No binding for Python: ${python_missing}")
else()
	if(NOT IBC_PYTHON_DIR)
		# without the prefix, and the "local" in which some have what is no package
		execute_process(COMMAND ${Python3_EXECUTABLE} -c
			"import re, sys, sysconfig; print(re.sub('^/(local/)?', '', \
sysconfig.get_path('platlib')[len(sys.prefix):]))"
			OUTPUT_VARIABLE IBC_PYTHON_DIR OUTPUT_STRIP_TRAILING_WHITESPACE)
	endif()
	set(PYTHON_BUILD_DIR ${CMAKE_BINARY_DIR}/lib/python)
	add_subdirectory(python)
endif()
