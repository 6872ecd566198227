/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The form of every wrapper: if @is_ours then @ours, else libibverbs; @missing is
 * the answer where libibverbs has no such function.
 */
#ifndef SOFTVERBS_WRAP_H
#define SOFTVERBS_WRAP_H

#include <errno.h>

#include "hidden.h"
#include "preload.h"

#define WRAP(type, name, params, args, is_ours, ours, missing)    \
	type name params                                          \
	{                                                         \
		static _Atomic(void *) cached;                    \
		type(*real) params;                               \
                                                                  \
		if (is_ours)                                      \
			return ours;                              \
		real = (type(*) params)soft_real(&cached, #name); \
		if (real)                                         \
			return real args;                         \
		errno = EOPNOTSUPP;                               \
		return missing;                                   \
	}

#define WRAP_VOID(name, params, args, is_ours, ours)              \
	void name params                                          \
	{                                                         \
		static _Atomic(void *) cached;                    \
		void(*real) params;                               \
                                                                  \
		if (is_ours) {                                    \
			ours;                                     \
			return;                                   \
		}                                                 \
		real = (void(*) params)soft_real(&cached, #name); \
		if (real)                                         \
			real args;                                \
	}

#endif /* SOFTVERBS_WRAP_H */
