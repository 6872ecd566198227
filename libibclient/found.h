/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* What the quick get reads of a device: see found.c. */
#ifndef IBC_FOUND_H
#define IBC_FOUND_H

#include <stdatomic.h>
#include <stdint.h>

struct ibc_device;
struct ibc__ref;

#define IBC_BLOCK_SLOTS 16
#define IBC_ROW		(IBC_BLOCK_SLOTS * sizeof(uint64_t))
#define IBC_NUM_REGIONS 15

/* of a slot; behind 16 of them are as many words for each CPU, a row */
struct ibc__found {
	_Alignas(8) _Atomic uintptr_t what; /* data; or counter or 0, + OTHER */
};

_Static_assert(sizeof(struct ibc__found) == sizeof(uint64_t),
	       "a row of what is found is not as long as one of counts");

#define IBC_FOUND_OTHER ((uintptr_t)1)

/* in a place: the lower part says where the device has its pointer, see found.c */
#define IBC_PLACE_UNIT ((uintptr_t)4096)

int ibc__found_make(struct ibc_device *dev, unsigned int id);
void ibc__found_free(struct ibc_device *dev);
struct ibc__found *ibc__found(struct ibc_device *dev, unsigned int id);
uintptr_t ibc__found_place(unsigned int id);
struct ibc__ref *ibc__found_ref(struct ibc_device *dev, uintptr_t place);

/* the count of a CPU is so many rows behind */
static inline _Atomic uint64_t *ibc__found_word(struct ibc__found *found,
						size_t cpu)
{
	size_t offset = cpu * IBC_ROW;

	/* not (cpu + 1) * IBC_ROW, which is two instructions more */
	__asm__("" : "+r"(offset));
	return (_Atomic uint64_t *)((char *)found + offset + IBC_ROW);
}

#endif /* IBC_FOUND_H */
