# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# softverbs where a process may open hardly anything more
soft_test(test_few_fds)
