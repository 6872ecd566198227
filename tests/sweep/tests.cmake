# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Guarantee 20, swept: see sweep.h. Not all points each time: neighbours are much the
# same; with threads a call has no number of its own; on softverbs each life
# starts a dozen programs; and processes with a sanitizer take their time to begin
# and to end. All with IBC_LONG=1.
set(SWEEP sweep/test_sweep.c sweep/life.c sweep/lives.c
	contract/status_reader.c ${INJECTED})

# sweep_tests(PROGRAM PREFIX MODE:STEP:STEP_WITH_A_SANITIZER...)
function(sweep_tests program prefix)
	foreach(mode ${ARGN})
		string(REPLACE ":" ";" parts ${mode})
		list(GET parts 0 mode)
		list(GET parts 1 step)
		if(IBC_SANITIZE)
			list(GET parts 2 step)
		endif()
		set(name ${prefix}g20_sweep_${mode})
		add_test(NAME ${name} COMMAND ${program} ${mode})
		set_tests_properties(${name} PROPERTIES TIMEOUT 900
			LABELS no-valgrind ENVIRONMENT
			"${IBC_TEST_ENVIRONMENT};IBC_SWEEP_STEP=${step}")
	endforeach()
endfunction()

ibc_program(test_sweep ${SWEEP} ${HARNESS2})
target_link_libraries(test_sweep PRIVATE ibc-injected)
add_dependencies(coverage-tests test_sweep)
sweep_tests(test_sweep "" manual:3:31 one:5:31 four:5:31)
ibc_again(address g20_sweep_one g20_sweep_four)
ibc_again(thread g20_sweep_one g20_sweep_manual)
