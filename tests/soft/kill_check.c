// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kill_check.h"

static char at[256];

void kill_at(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(at, sizeof(at), format, args);
	va_end(args);
}

void kill_fail(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "after %s: ", at);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	fail();
	abort();
}

static void read_text(const char *path, char *buf, size_t size)
{
	FILE *f = fopen(path, "r");
	size_t n;

	if (!f)
		kill_fail("%s: %s", path, strerror(errno));
	n = fread(buf, 1, size - 1, f);
	buf[n] = '\0';
	fclose(f);
}

static void read_device(const char *dir, const char *parent,
			struct fabric_device *dev)
{
	char path[256], text[4096], removal[16] = "";
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s/%s/state", dir, parent, dev->node);
	read_text(path, text, sizeof(text));
	if (sscanf(text,
		   "name %63s\nindex %u\nguid %*s\nremoval %15s\n"
		   "link %*s\nports %u\n",
		   dev->name, &dev->index, removal, &dev->ports) != 4)
		kill_fail("%s is not a state: %s", path, text);
	dev->fatal = strcmp(removal, "fatal") == 0;
	snprintf(path, sizeof(path), "%s/%s/%s/contexts", dir, parent,
		 dev->node);
	if (stat(path, &st) || !S_ISDIR(st.st_mode))
		kill_fail("%s is not there", path);
}

/* removed ones may be half gone before a sweep: those without a state */
static unsigned int read_all(const char *dir, const char *parent,
			     struct fabric_device *devs)
{
	char path[256];
	unsigned int num = 0;
	struct dirent *entry;
	DIR *stream;

	snprintf(path, sizeof(path), "%s/%s", dir, parent);
	stream = opendir(path);
	if (!stream)
		kill_fail("%s: %s", path, strerror(errno));
	while ((entry = readdir(stream))) {
		if (entry->d_name[0] == '.' || num == KILL_MAX)
			continue;
		snprintf(devs[num].node, sizeof(devs[num].node), "%.31s",
			 entry->d_name);
		snprintf(path, sizeof(path), "%s/%s/%s/state", dir, parent,
			 devs[num].node);
		if (strcmp(parent, "removed") == 0 && access(path, F_OK))
			continue;
		if (strcmp(parent, "removed") == 0) {
			snprintf(path, sizeof(path), "%s/%s/%s/contexts", dir,
				 parent, devs[num].node);
			if (access(path, F_OK))
				continue;
		}
		read_device(dir, parent, &devs[num++]);
	}
	closedir(stream);
	return num;
}

static void check_name(const char *dir, const struct fabric_device *dev)
{
	char path[256], text[64];

	snprintf(path, sizeof(path), "%s/class/infiniband/%s/node_guid", dir,
		 dev->name);
	if (access(path, F_OK))
		kill_fail("%s has no name: %s", dev->node, dev->name);
	snprintf(path, sizeof(path), "%s/class/infiniband_verbs/%s/ibdev", dir,
		 dev->node);
	read_text(path, text, sizeof(text));
	if (!text[0])
		kill_fail("%s has an empty ibdev", dev->node);
}

void kill_read(const char *dir, struct fabric *fabric)
{
	struct fabric_device *a = fabric->listed;
	unsigned int i, j;

	memset(fabric, 0, sizeof(*fabric));
	fabric->num_listed =
		read_all(dir, "class/infiniband_verbs", fabric->listed);
	fabric->num_removed = read_all(dir, "removed", fabric->removed);
	for (i = 0; i < fabric->num_listed; i++) {
		check_name(dir, &a[i]);
		for (j = 0; j < i; j++)
			if (!strcmp(a[i].name, a[j].name) ||
			    a[i].index == a[j].index)
				kill_fail("%s and %s are the same", a[i].node,
					  a[j].node);
		for (j = 0; j < fabric->num_removed; j++)
			if (a[i].index == fabric->removed[j].index)
				kill_fail("%s is removed, too", a[i].node);
	}
}

bool kill_has(const struct fabric *fabric, const char *name)
{
	unsigned int i;

	for (i = 0; i < fabric->num_listed; i++)
		if (strcmp(fabric->listed[i].name, name) == 0)
			return true;
	return false;
}

unsigned int kill_count(const char *dir, const char *path)
{
	char full[256];
	unsigned int num = 0;
	struct dirent *entry;
	DIR *stream;

	snprintf(full, sizeof(full), "%s/%s", dir, path);
	stream = opendir(full);
	if (!stream)
		kill_fail("%s: %s", full, strerror(errno));
	while ((entry = readdir(stream)))
		num += strcmp(entry->d_name, ".") &&
		       strcmp(entry->d_name, "..");
	closedir(stream);
	return num;
}

void kill_check_swept(const char *dir, unsigned int held)
{
	unsigned int i, names, kept = 0;
	char path[256], text[80];
	struct fabric fabric;

	kill_read(dir, &fabric);
	if (kill_count(dir, "new"))
		kill_fail("new/ is not empty");
	if (kill_count(dir, "removed") != held || fabric.num_removed != held)
		kill_fail("%u removed devices, %u are held",
			  kill_count(dir, "removed"), held);
	for (i = 0; i < fabric.num_removed; i++)
		kept += !fabric.removed[i].fatal;
	names = kill_count(dir, "class/infiniband");
	if (names != fabric.num_listed + kept)
		kill_fail("%u names, %u devices and %u that wait", names,
			  fabric.num_listed, kept);
	for (i = 0; i < fabric.num_listed; i++) {
		snprintf(path, sizeof(path),
			 "%s/class/infiniband_verbs/%s/ibdev", dir,
			 fabric.listed[i].node);
		read_text(path, text, sizeof(text));
		text[strcspn(text, "\n")] = '\0';
		if (strcmp(text, fabric.listed[i].name))
			kill_fail("%s is %s in one file, %s in another",
				  fabric.listed[i].node, text,
				  fabric.listed[i].name);
	}
}

static int look(const char *path, const struct stat *st, int flag,
		struct FTW *ftw)
{
	const char *name = path + ftw->base;
	size_t len = strlen(name);

	(void)st;
	(void)flag;
	if (name[0] == '.' && len > 4 && !strcmp(name + len - 4, ".new"))
		kill_fail("%s is left", path);
	return 0;
}

void kill_check_temporary(const char *dir)
{
	nftw(dir, look, 8, FTW_PHYS);
}
