// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * See inject.h: streams. A stream to memory is a piece of memory, and so is its
 * text, which is the library's to free. Where writing failed ferror() says so
 * ever after, as with a real one; glibc's own flag cannot be set from outside, so
 * the stream is remembered here, one for each thread.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "inject.h"

static __thread FILE *broken;

static bool breaks(FILE *stream)
{
	if (!inject_fails(INJECT_FWRITE))
		return false;
	broken = stream;
	return true;
}

FILE *inject_open_memstream(char **text, size_t *len);
FILE *inject_open_memstream(char **text, size_t *len)
{
	FILE *stream;

	if (inject_fails(INJECT_MALLOC))
		return NULL;
	stream = open_memstream(text, len);
	if (stream)
		inject_got(2);
	return stream;
}

FILE *inject_fopen(const char *path, const char *mode);
FILE *inject_fopen(const char *path, const char *mode)
{
	FILE *stream;

	if (inject_fails(INJECT_FOPEN))
		return NULL;
	stream = fopen(path, mode);
	if (stream)
		inject_got(1);
	return stream;
}

int inject_fclose(FILE *stream);
int inject_fclose(FILE *stream)
{
	int error = inject_fails(INJECT_FCLOSE);
	int ret = fclose(stream);

	inject_got(-1);
	if (broken == stream)
		broken = NULL;
	if (!error)
		return ret;
	errno = error;
	return EOF;
}

int inject_fflush(FILE *stream);
int inject_fflush(FILE *stream)
{
	return inject_fails(INJECT_FFLUSH) ? EOF : fflush(stream);
}

int inject_ferror(FILE *stream);
int inject_ferror(FILE *stream)
{
	return broken == stream || ferror(stream);
}

char *inject_fgets(char *buf, int size, FILE *stream);
char *inject_fgets(char *buf, int size, FILE *stream)
{
	return inject_fails(INJECT_FGETS) ? NULL : fgets(buf, size, stream);
}

int inject_fprintf(FILE *stream, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
int inject_fprintf(FILE *stream, const char *format, ...)
{
	va_list args;
	int ret;

	if (breaks(stream))
		return -1;
	va_start(args, format);
	ret = vfprintf(stream, format, args);
	va_end(args);
	return ret;
}

int inject_fputs(const char *s, FILE *stream);
int inject_fputs(const char *s, FILE *stream)
{
	return breaks(stream) ? EOF : fputs(s, stream);
}

int inject_fputc(int c, FILE *stream);
int inject_fputc(int c, FILE *stream)
{
	return breaks(stream) ? EOF : fputc(c, stream);
}

size_t inject_fwrite(const void *p, size_t size, size_t n, FILE *stream);
size_t inject_fwrite(const void *p, size_t size, size_t n, FILE *stream)
{
	return breaks(stream) ? 0 : fwrite(p, size, n, stream);
}
