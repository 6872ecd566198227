/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * An input that is read a little at a time, and what the targets for the library
 * say when something is wrong: it aborts, which libFuzzer reports.
 */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct input {
	const uint8_t *data;
	size_t size;
};

static inline uint8_t byte(struct input *in)
{
	if (!in->size)
		return 0;
	in->size--;
	return *in->data++;
}

/* '0' is 0, so that small ones can be written in a text */
static inline uint8_t number(struct input *in)
{
	return byte(in) - '0';
}

/* the next bytes, their number first */
static inline size_t bytes(struct input *in, uint8_t *buf, size_t max)
{
	size_t len = number(in), i;

	if (len > max)
		len = max;
	if (len > in->size)
		len = in->size;
	for (i = 0; i < len; i++)
		buf[i] = byte(in);
	return len;
}

#define fuzz_check(expr)                                              \
	do {                                                          \
		if (!(expr)) {                                        \
			fprintf(stderr, "wrong: %s:%d: not so: %s\n", \
				__FILE__, __LINE__, #expr);           \
			abort();                                      \
		}                                                     \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif /* FUZZ_INPUT_H */
