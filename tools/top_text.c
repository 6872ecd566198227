// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "top_text.h"

struct piece {
	size_t len; /* bytes */
	int width;  /* columns; -1: a '?' is written in its place */
};

/* one character; bytes of UTF-8 that go on are one with the first */
static struct piece next_piece(const char *text)
{
	struct piece p = { .width = -1 };
	mbstate_t state = {};
	wchar_t c;

	p.len = mbrtowc(&c, text, MB_CUR_MAX, &state);
	if (p.len != (size_t)-1 && p.len != (size_t)-2) {
		p.width = iswprint((wint_t)c) ? wcwidth(c) : -1;
		if (p.width < 1)
			p.width = -1;
		return p;
	}
	for (p.len = 1; ((unsigned char)text[p.len] & 0xc0) == 0x80; p.len++)
		;
	return p;
}

static int columns(const char *text)
{
	struct piece p;
	int used = 0;

	for (; *text; text += p.len) {
		p = next_piece(text);
		used += p.width < 0 ? 1 : p.width;
	}
	return used;
}

static void put_piece(FILE *out, const char *text, const struct piece *p)
{
	if (p->width < 0)
		fputc('?', out);
	else
		fwrite(text, p->len, 1, out);
}

int text_put(FILE *out, const char *text, int width)
{
	bool cut = width >= 0 && columns(text) > width;
	int used = 0, room = cut ? width - 1 : width, w;
	struct piece p;

	for (; *text; text += p.len) {
		p = next_piece(text);
		w = p.width < 0 ? 1 : p.width;
		if (width >= 0 && used + w > room)
			break;
		put_piece(out, text, &p);
		used += w;
	}
	if (cut && width > 0 && used < width) {
		fputc('~', out);
		used++;
	}
	for (; used < width; used++)
		fputc(' ', out);
	return used;
}

void text_age(char *buf, size_t size, double seconds, const char *before)
{
	unsigned long s = seconds > 0 ? (unsigned long)seconds : 0;

	if (s < 100)
		snprintf(buf, size, "%s%lus", before, s);
	else if (s < 3600)
		snprintf(buf, size, "%s%lum%02lu", before, s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, size, "%s%luh%02lum", before, s / 3600,
			 s / 60 % 60);
	else
		snprintf(buf, size, "%s%lud%02luh", before, s / 86400,
			 s / 3600 % 24);
}
