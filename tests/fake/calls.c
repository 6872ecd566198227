// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* See calls.h. The lock is never held while a hook runs. */
#include <pthread.h>
#include <string.h>

#include "calls.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int num_calls[FAKE_NUM_CALLS];
static struct {
	int error, count;
} faults[FAKE_NUM_CALLS];
static struct {
	void (*fn)(void *arg);
	void *arg;
} hooks[FAKE_NUM_CALLS];

void fake_reset_calls(void)
{
	pthread_mutex_lock(&lock);
	memset(num_calls, 0, sizeof(num_calls));
	memset(faults, 0, sizeof(faults));
	memset(hooks, 0, sizeof(hooks));
	pthread_mutex_unlock(&lock);
}

int fake_called(enum fake_call call)
{
	void (*fn)(void *arg);
	void *arg;
	int error = 0;

	pthread_mutex_lock(&lock);
	num_calls[call]++;
	fn = hooks[call].fn;
	arg = hooks[call].arg;
	pthread_mutex_unlock(&lock);
	if (fn)
		fn(arg);
	pthread_mutex_lock(&lock);
	if (faults[call].count) {
		error = faults[call].error;
		if (faults[call].count > 0)
			faults[call].count--;
	}
	pthread_mutex_unlock(&lock);
	return error;
}

void fake_fail(enum fake_call call, int error, int count)
{
	pthread_mutex_lock(&lock);
	faults[call].error = error;
	faults[call].count = count;
	pthread_mutex_unlock(&lock);
}

void fake_on(enum fake_call call, void (*fn)(void *arg), void *arg)
{
	pthread_mutex_lock(&lock);
	hooks[call].fn = fn;
	hooks[call].arg = arg;
	pthread_mutex_unlock(&lock);
}

unsigned int fake_calls(enum fake_call call)
{
	unsigned int n;

	pthread_mutex_lock(&lock);
	n = num_calls[call];
	pthread_mutex_unlock(&lock);
	return n;
}
