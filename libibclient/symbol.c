// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What function a code address is in. Not by dladdr(): that takes the lock of
 * the dynamic loader, which is held while a library's constructors run, and one
 * of those may be waiting for the very thread that asks. dl_iterate_phdr() tells
 * the object without that lock. The function is looked up in the object's file,
 * which also knows the static ones, and those of a program that exports none.
 *
 * The file may be another one by now, or gone, or cut off while it is read: it
 * is read, not mapped, a little at a time, nothing in it is trusted, and its
 * program headers must be those that were loaded.
 */
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "symbol.h"

typedef ElfW(Ehdr) elf_header;
typedef ElfW(Phdr) elf_segment;
typedef ElfW(Shdr) elf_section;
typedef ElfW(Sym) elf_symbol;

#define MAX_PHDRS 64

struct object {
	uintptr_t address; /* what is looked for; then, relative to the base */
	char path[256];
	size_t num_phdrs;
	elf_segment phdrs[MAX_PHDRS];
	bool found;
};

static bool covers(const struct dl_phdr_info *info, uintptr_t address)
{
	const elf_segment *phdr;
	unsigned int i;

	for (i = 0; i < info->dlpi_phnum; i++) {
		phdr = &info->dlpi_phdr[i];
		if (phdr->p_type == PT_LOAD &&
		    address - info->dlpi_addr - phdr->p_vaddr < phdr->p_memsz)
			return true;
	}
	return false;
}

/* the loader's list is locked: copies only */
static int match(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct object *object = arg;

	(void)size;
	if (!covers(info, object->address))
		return 0;
	object->found = true;
	object->address -= info->dlpi_addr;
	snprintf(object->path, sizeof(object->path), "%s", info->dlpi_name);
	if (info->dlpi_phnum <= MAX_PHDRS) {
		object->num_phdrs = info->dlpi_phnum;
		memcpy(object->phdrs, info->dlpi_phdr,
		       object->num_phdrs * sizeof(object->phdrs[0]));
	}
	return 1;
}

/* the program itself has no name in the loader's list */
static void name_program(struct object *object)
{
	ssize_t len = readlink("/proc/self/exe", object->path,
			       sizeof(object->path) - 1);

	if (len > 0)
		object->path[len] = '\0';
	else
		snprintf(object->path, sizeof(object->path), "(program)");
}

/* ---- the file ---- */

static bool read_at(int fd, void *buf, size_t len, uint64_t offset)
{
	return pread(fd, buf, len, offset) == (ssize_t)len;
}

/* is it the file that was loaded? */
static bool read_header(int fd, const struct object *object, elf_header *ehdr)
{
	elf_segment phdrs[MAX_PHDRS];
	size_t len = object->num_phdrs * sizeof(phdrs[0]);

	return read_at(fd, ehdr, sizeof(*ehdr), 0) &&
	       memcmp(ehdr->e_ident, ELFMAG, SELFMAG) == 0 &&
	       ehdr->e_phentsize == sizeof(phdrs[0]) &&
	       ehdr->e_shentsize == sizeof(elf_section) && len &&
	       ehdr->e_phnum == object->num_phdrs &&
	       read_at(fd, phdrs, len, ehdr->e_phoff) &&
	       memcmp(phdrs, object->phdrs, len) == 0;
}

static const elf_symbol *search(const elf_symbol *syms, size_t num,
				uintptr_t address)
{
	size_t i;

	for (i = 0; i < num; i++)
		if ((syms[i].st_info & 0xf) == STT_FUNC &&
		    syms[i].st_shndx != SHN_UNDEF &&
		    address - syms[i].st_value < syms[i].st_size)
			return &syms[i];
	return NULL;
}

/* a table of symbols, and that of their names: the one that has @address */
static bool look_up(int fd, const elf_section *table, const elf_section *names,
		    uintptr_t address, struct ibc__symbol *symbol)
{
	elf_symbol syms[256];
	uint64_t at = table->sh_offset, left = table->sh_size / sizeof(syms[0]);
	const elf_symbol *found = NULL;
	size_t num;

	for (; left && !found; left -= num, at += num * sizeof(syms[0])) {
		num = left < 256 ? left : 256;
		if (!read_at(fd, syms, num * sizeof(syms[0]), at))
			return false;
		found = search(syms, num, address);
	}
	if (!found || found->st_name >= names->sh_size)
		return false;
	/* what follows the name is behind its end */
	if (pread(fd, symbol->function, sizeof(symbol->function) - 1,
		  names->sh_offset + found->st_name) <= 0 ||
	    !symbol->function[0])
		return false;
	symbol->start = found->st_value;
	return true;
}

static bool read_section(int fd, const elf_header *ehdr, size_t number,
			 elf_section *section)
{
	return number < ehdr->e_shnum &&
	       read_at(fd, section, sizeof(*section),
		       ehdr->e_shoff + number * sizeof(*section));
}

/* in the symbols for the dynamic linker, which are few; then in all */
static void look_up_in(int fd, const elf_header *ehdr, uintptr_t address,
		       struct ibc__symbol *symbol)
{
	static const ElfW(Word) types[] = { SHT_DYNSYM, SHT_SYMTAB };
	elf_section table, names;
	size_t i, n;

	for (n = 0; n < 2; n++)
		for (i = 0; read_section(fd, ehdr, i, &table); i++)
			if (table.sh_type == types[n] &&
			    read_section(fd, ehdr, table.sh_link, &names) &&
			    look_up(fd, &table, &names, address, symbol))
				return;
}

bool ibc__symbol_find(uintptr_t address, struct ibc__symbol *symbol)
{
	struct object object = { .address = address };
	elf_header ehdr;
	int fd;

	memset(symbol, 0, sizeof(*symbol));
	dl_iterate_phdr(match, &object);
	if (!object.found)
		return false;
	if (!object.path[0])
		name_program(&object);
	snprintf(symbol->object, sizeof(symbol->object), "%s", object.path);
	symbol->offset = object.address;
	fd = open(object.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return true;
	if (read_header(fd, &object, &ehdr))
		look_up_in(fd, &ehdr, object.address, symbol);
	close(fd);
	return true;
}
