# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# softverbs: what reviewers and careless programs would try
soft_test(test_channel)
soft_test(test_details)
soft_test(test_end)
# gcc's AddressSanitizer does not take its allocator's lock around fork(): a child of
# a process with busy threads waits for ever in its first malloc().
if(NOT IBC_SANITIZE MATCHES address)
	soft_test(test_forks)
endif()
soft_test(test_marks)
soft_test(test_path)
soft_test(test_storm)
soft_test(test_unsupported)

# once more where contexts are made without the help of libibverbs
add_test(NAME soft_test_unsupported_plain COMMAND soft_test_unsupported)
set_tests_properties(soft_test_unsupported_plain PROPERTIES TIMEOUT 300
	LABELS "soft;no-valgrind")
set_property(TEST soft_test_unsupported_plain PROPERTY ENVIRONMENT
	"LD_PRELOAD=${SOFT_PRELOAD}"
	LD_LIBRARY_PATH=${CMAKE_CURRENT_BINARY_DIR}/fake)
add_dependencies(soft_test_unsupported soft-fake-verbs)
