// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* ibc_version(), of the real shared library: this program is linked with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <infiniband/ibclient.h>

static void version_is_that_of_the_project(void **state)
{
	(void)state;
	assert_string_equal(ibc_version(), IBC_TEST_VERSION);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_is_that_of_the_project),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
