# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# IBC_HAVE_SDT: are there to be USDT probes? See libibclient/probe.h. They are a
# header's macros, so the library links nothing more.
include(CheckIncludeFile)

set(IBC_HAVE_SDT FALSE)
if(NOT IBC_USDT MATCHES "^(AUTO|ON|OFF)$")
	message(FATAL_ERROR "IBC_USDT is AUTO, ON or OFF, not ${IBC_USDT}")
elseif(NOT IBC_USDT STREQUAL OFF)
	check_include_file(sys/sdt.h IBC_HAVE_SDT_H)
	if(IBC_HAVE_SDT_H)
		set(IBC_HAVE_SDT TRUE)
	else()
		# it may be installed later
		unset(IBC_HAVE_SDT_H CACHE)
	endif()
endif()
if(NOT IBC_HAVE_SDT AND IBC_USDT STREQUAL ON)
	message(FATAL_ERROR "<sys/sdt.h> is not there: install "
		"systemtap-sdt-dev (Debian) or systemtap-sdt-devel (Fedora), "
		"or say -DIBC_USDT=OFF")
elseif(NOT IBC_HAVE_SDT AND IBC_USDT STREQUAL AUTO)
	message(STATUS "<sys/sdt.h> is not there: no USDT probes")
endif()
