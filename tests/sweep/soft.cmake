# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# The sweep once more, on softverbs: there the library's own backend is swept, with
# the verbs and files that it calls.
add_executable(on_soft_sweep ${SWEEP} $<TARGET_OBJECTS:softverbs-objects>)
target_link_libraries(on_soft_sweep PRIVATE ibc-soft ibc-injected
	${CMAKE_DL_LIBS})
add_dependencies(on_soft_sweep softverbs-preload softverbs-cmd)
sweep_tests(on_soft_sweep on_soft_ manual:11:101 four:41:301)
ibc_again(address on_soft_g20_sweep_four)
ibc_again(thread on_soft_g20_sweep_manual)
foreach(mode manual four)
	set_property(TEST on_soft_g20_sweep_${mode} APPEND PROPERTY ENVIRONMENT
		"LD_PRELOAD=${SOFT_PRELOAD}"
		"SOFTVERBS_COMMAND=$<TARGET_FILE:softverbs-cmd>")
	set_property(TEST on_soft_g20_sweep_${mode} APPEND PROPERTY LABELS soft)
endforeach()
