// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Is there another copy of this library in the process? A plug-in may have the
 * static one in it, or come with a shared one of its own. Each works, but each has
 * its own shared registry, and nobody who looks at one finds the other's clients.
 *
 * No symbol tells: those of a static copy may be hidden, those of a plug-in local
 * to it. So each copy carries an ELF note with its version, and whoever opens a
 * registry counts the notes of what is loaded. It is said once by each copy that
 * is used while there are several. Copies in other namespaces of the loader
 * (dlmopen()) are not seen.
 */
#include <link.h>
#include <stdio.h>

#include "private.h"
#include "ibc_config.h"

#define NOTE_NAME "libibclient"
#define NOTE_TYPE 1

/* %note: in some assemblers an @ begins a comment */
__asm__(".pushsection .note." NOTE_NAME ", \"a\", %note\n"
	"	.balign 4\n"
	"	.long 2f - 1f, 4f - 3f, 1\n"
	"1:	.asciz \"" NOTE_NAME "\"\n"
	"2:	.balign 4\n"
	"3:	.asciz \"" IBC_VERSION "\"\n"
	"4:	.balign 4\n"
	"	.popsection\n");

struct copies {
	unsigned int num;
	char names[1024];
};

static size_t padded(size_t size)
{
	return (size + 3) & ~(size_t)3;
}

/* the version in the notes of one segment, or NULL */
static const char *find_note(const char *at, size_t size)
{
	const ElfW(Nhdr) * note;
	size_t len;

	for (; size >= sizeof(*note); at += len, size -= len) {
		note = (const ElfW(Nhdr) *)at;
		if (note->n_namesz > size || note->n_descsz > size)
			return NULL;
		len = sizeof(*note) + padded(note->n_namesz) +
		      padded(note->n_descsz);
		if (len > size)
			return NULL;
		if (note->n_type == NOTE_TYPE && note->n_descsz &&
		    note->n_namesz == sizeof(NOTE_NAME) &&
		    memcmp(note + 1, NOTE_NAME, sizeof(NOTE_NAME)) == 0)
			return at + sizeof(*note) + padded(note->n_namesz);
	}
	return NULL;
}

static void add(struct copies *copies, const char *version, const char *object)
{
	size_t have = strlen(copies->names);

	snprintf(copies->names + have, sizeof(copies->names) - have,
		 "%s%s in %s", copies->num ? ", " : "", version,
		 object[0] ? object : "the program itself");
	copies->num++;
}

/* the loader's list is locked: no call of anybody's */
static int look_into(struct dl_phdr_info *info, size_t size, void *arg)
{
	const ElfW(Phdr) * phdr;
	const char *version;
	unsigned int i;

	(void)size;
	for (i = 0; i < info->dlpi_phnum; i++) {
		phdr = &info->dlpi_phdr[i];
		/* other alignments are laid out in another way, and not ours */
		if (phdr->p_type != PT_NOTE || phdr->p_align > 4)
			continue;
		version =
			find_note((const char *)info->dlpi_addr + phdr->p_vaddr,
				  phdr->p_memsz);
		if (version)
			add(arg, version, info->dlpi_name);
	}
	return 0;
}

/* of a registry that is being opened: no lock is needed */
void ibc__copies_warn(struct ibc_registry *reg)
{
	static atomic_flag said = ATOMIC_FLAG_INIT;
	struct copies copies = {};

	dl_iterate_phdr(look_into, &copies);
	if (copies.num < 2 || atomic_flag_test_and_set(&said))
		return;
	ibc__log(
		reg, IBC_LOG_WARNING,
		"there are %u copies of libibclient in this process (%s): each "
		"has a shared registry of its own and opens the devices again. "
		"Link all with one libibclient.so",
		copies.num, copies.names);
}
