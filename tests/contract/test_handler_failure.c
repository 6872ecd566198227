// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Guarantees 19 and 20 for event handlers: no memory, and a fork. */
#include <sys/wait.h>
#include <unistd.h>

#include "ear.h"
#include "inject.h"

static void fails_once(struct ibc_event_filter filter)
{
	unsigned int num = dev->handlers.num, calls, i;

	inject(INJECT_MALLOC, 1000, 1, ENOMEM);
	listen_to(&ear, filter);
	calls = inject_calls(INJECT_MALLOC);
	deaf(&ear);
	assert_true(calls >= 1);
	for (i = 1; i <= calls; i++) {
		inject(INJECT_MALLOC, i, 1, ENOMEM);
		errno = 0;
		ear.handler =
			ibc_register_event_handler(dev, &filter, hear, &ear);
		if (ear.handler) { /* it was somebody else's */
			deaf(&ear);
			continue;
		}
		assert_int_equal(errno, ENOMEM);
		assert_true(inject_hit());
		assert_int_equal(dev->handlers.num, num);
	}
	inject_nothing();
}

static void forget_buckets(void)
{
	ibc__lock(h_reg);
	free(dev->handlers.buckets);
	dev->handlers.buckets = NULL;
	ibc__unlock(h_reg);
}

/* the first handler of an object needs the table too */
static void g20_registering_may_lack_memory(void **state)
{
	struct ibc_event_filter of_qp = { .scope = IBC_SCOPE_QP };
	struct ibc_event_filter of_device = { .scope = IBC_SCOPE_DEVICE };
	unsigned int i;

	(void)state;
	ear_begin();
	of_qp.qp = qp;
	for (i = 1; i <= 2; i++) {
		inject(INJECT_MALLOC, i, 1, ENOMEM);
		check_null(ibc_register_event_handler(dev, &of_qp, hear, &ear),
			   ENOMEM);
		assert_true(inject_hit());
		assert_int_equal(dev->handlers.num, 0);
		inject_nothing();
		forget_buckets();
	}
	fails_once(of_qp);
	fails_once(of_device);
	listen_to(&ear, of_qp); /* and now it works */
	ear_send(IBV_EVENT_QP_FATAL, (uintptr_t)qp);
	assert_int_equal(heard(&ear), 1);
	deaf(&ear);
	ear_end();
}

static void in_child(void)
{
	struct ibc_event_filter filter = { .scope = IBC_SCOPE_DEVICE };
	unsigned int num = dev->handlers.num;

	check_null(ibc_register_event_handler(dev, &filter, hear, &ear),
		   ECHILD);
	check(ibc_unregister_event_handler(ear.handler) == ECHILD);
	check(dev->handlers.num == num);
}

static void g19_in_a_child_handlers_are_echild(void **state)
{
	int status = -1;
	pid_t pid;

	(void)state;
	ear_begin();
	listen_device(&ear, 0);
	pid = fork();
	if (!pid) {
		in_child();
		/* leak checkers would find what only threads point to */
		execl("/bin/true", "true", NULL);
		_exit(125);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	ear_send(IBV_EVENT_LID_CHANGE, 1); /* the parent's goes on */
	assert_int_equal(heard(&ear), 1);
	deaf(&ear);
	ear_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_MANUAL(g20_registering_may_lack_memory),
		IN_ALL(g19_in_a_child_handlers_are_echild),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
