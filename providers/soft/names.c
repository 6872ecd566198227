// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Names of event types and errno values, as commands take them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <infiniband/verbs.h>

#include "control.h"

#define EVENT(name) [IBV_EVENT_##name] = #name

static const char *const events[] = {
	EVENT(CQ_ERR),
	EVENT(QP_FATAL),
	EVENT(QP_REQ_ERR),
	EVENT(QP_ACCESS_ERR),
	EVENT(COMM_EST),
	EVENT(SQ_DRAINED),
	EVENT(PATH_MIG),
	EVENT(PATH_MIG_ERR),
	EVENT(DEVICE_FATAL),
	EVENT(PORT_ACTIVE),
	EVENT(PORT_ERR),
	EVENT(LID_CHANGE),
	EVENT(PKEY_CHANGE),
	EVENT(SM_CHANGE),
	EVENT(SRQ_ERR),
	EVENT(SRQ_LIMIT_REACHED),
	EVENT(QP_LAST_WQE_REACHED),
	EVENT(CLIENT_REREGISTER),
	EVENT(GID_CHANGE),
	EVENT(WQ_FATAL),
};

#define NUM_EVENTS ((int)(sizeof(events) / sizeof(events[0])))

int sv_event_type(const char *name)
{
	int i;

	for (i = 0; i < NUM_EVENTS; i++)
		if (events[i] && strcmp(events[i], name) == 0)
			return i;
	return -1;
}

const char *sv_event_name(int type)
{
	return type >= 0 && type < NUM_EVENTS ? events[type] : NULL;
}

/* whose it is; SV_NONE: a port's, or the device's */
enum sv_kind sv_event_kind(int type)
{
	switch (type) {
	case IBV_EVENT_CQ_ERR:
		return SV_CQ;
	case IBV_EVENT_SRQ_ERR:
	case IBV_EVENT_SRQ_LIMIT_REACHED:
		return SV_SRQ;
	case IBV_EVENT_WQ_FATAL:
		return SV_WQ;
	case IBV_EVENT_QP_FATAL:
	case IBV_EVENT_QP_REQ_ERR:
	case IBV_EVENT_QP_ACCESS_ERR:
	case IBV_EVENT_COMM_EST:
	case IBV_EVENT_SQ_DRAINED:
	case IBV_EVENT_PATH_MIG:
	case IBV_EVENT_PATH_MIG_ERR:
	case IBV_EVENT_QP_LAST_WQE_REACHED:
		return SV_QP;
	default:
		return SV_NONE;
	}
}

#define ERRNO(name)         \
	{                   \
#name, name \
	}

/* what a verb may fail with; a number is taken for any other */
static const struct {
	const char *name;
	int value;
} errors[] = {
	ERRNO(EPERM),	    ERRNO(ENOENT),	    ERRNO(EINTR),
	ERRNO(EIO),	    ERRNO(ENXIO),	    ERRNO(E2BIG),
	ERRNO(EBADF),	    ERRNO(EAGAIN),	    ERRNO(ENOMEM),
	ERRNO(EACCES),	    ERRNO(EFAULT),	    ERRNO(EBUSY),
	ERRNO(EEXIST),	    ERRNO(ENODEV),	    ERRNO(EINVAL),
	ERRNO(ENFILE),	    ERRNO(EMFILE),	    ERRNO(ENOTTY),
	ERRNO(ENOSPC),	    ERRNO(EROFS),	    ERRNO(ERANGE),
	ERRNO(ENOSYS),	    ERRNO(ENODATA),	    ERRNO(ETIME),
	ERRNO(ENOLINK),	    ERRNO(EPROTO),	    ERRNO(EOVERFLOW),
	ERRNO(EOPNOTSUPP),  ERRNO(EADDRNOTAVAIL),   ERRNO(ENETDOWN),
	ERRNO(ENETUNREACH), ERRNO(ECONNABORTED),    ERRNO(ECONNRESET),
	ERRNO(ENOBUFS),	    ERRNO(ETIMEDOUT),	    ERRNO(EHOSTUNREACH),
	ERRNO(ESHUTDOWN),   ERRNO(ESTALE),	    ERRNO(EDQUOT),
	ERRNO(ECANCELED),   ERRNO(EPROTONOSUPPORT),
};

int sv_errno_value(const char *name)
{
	unsigned int i;
	char *end;
	long n;

	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (strcmp(errors[i].name, name) == 0)
			return errors[i].value;
	n = strtol(name, &end, 0);
	return *name && !*end && n > 0 && n < 4096 ? (int)n : -1;
}
