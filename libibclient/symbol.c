// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What function a code address is in. Not by dladdr(): that takes the lock of
 * the dynamic loader, which is held while a library's constructors run, and one
 * of those may be waiting for the very thread that asks. dl_iterate_phdr() tells
 * the object without that lock. The function is looked up in the object's file,
 * which also knows the static ones, and those of a program that exports none.
 *
 * The file may be another one by now, or gone, or cut off while it is read: it
 * is read, not mapped, nothing in it is trusted, and its program headers must be
 * those that were loaded.
 */
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "symbol.h"

typedef ElfW(Ehdr) elf_header;
typedef ElfW(Phdr) elf_segment;
typedef ElfW(Shdr) elf_section;
typedef ElfW(Sym) elf_symbol;

#define MAX_PHDRS 64
#define MAX_TABLE (256U << 20) /* bytes; more is no table of symbols */

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

/* @size bytes at @offset, in memory of the caller's, with a zero after them */
static void *read_table(int fd, uint64_t offset, uint64_t size)
{
	char *table;

	if (!size || size > MAX_TABLE)
		return NULL;
	table = malloc(size + 1);
	if (!table || !read_at(fd, table, size, offset)) {
		free(table);
		return NULL;
	}
	table[size] = '\0';
	return table;
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

/* the symbol whose code has @address; NULL: none */
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

/* @table: of symbols; @strings: that of their names */
static bool look_up(int fd, const elf_section *table,
		    const elf_section *strings, uintptr_t address,
		    struct ibc__symbol *symbol)
{
	elf_symbol *syms = read_table(fd, table->sh_offset, table->sh_size);
	char *names = read_table(fd, strings->sh_offset, strings->sh_size);
	const elf_symbol *sym = NULL;

	if (syms && names)
		sym = search(syms, table->sh_size / sizeof(*syms), address);
	if (sym && sym->st_name < strings->sh_size && names[sym->st_name]) {
		snprintf(symbol->function, sizeof(symbol->function), "%s",
			 names + sym->st_name);
		symbol->start = sym->st_value;
	}
	free(names);
	free(syms);
	return symbol->function[0];
}

/* in all symbols if they are there, else in those for the dynamic linker */
static void look_up_in(int fd, const elf_header *ehdr, uintptr_t address,
		       struct ibc__symbol *symbol)
{
	static const ElfW(Word) types[] = { SHT_SYMTAB, SHT_DYNSYM };
	size_t i, n, num = ehdr->e_shnum;
	elf_section *shdrs =
		read_table(fd, ehdr->e_shoff, num * sizeof(*shdrs));

	for (n = 0; shdrs && n < 2; n++)
		for (i = 0; i < num; i++)
			if (shdrs[i].sh_type == types[n] &&
			    shdrs[i].sh_link < num &&
			    look_up(fd, &shdrs[i], &shdrs[shdrs[i].sh_link],
				    address, symbol))
				goto done;
done:
	free(shdrs);
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
