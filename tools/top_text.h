/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Texts of others, made fit for a terminal and for columns. */
#ifndef IBC_TOOLS_TOP_TEXT_H
#define IBC_TOOLS_TOP_TEXT_H

#include <stdio.h>

/*
 * Writes @text in exactly @width columns, if that is not negative: filled with
 * spaces, or cut with a '~' at its end. What the terminal might obey, what has no
 * width and what is no character of the locale becomes a '?'. Columns used.
 */
int text_put(FILE *out, const char *text, int width);
/* "12s", "3m05", "2h10m", "4d03h" */
void text_age(char *buf, size_t size, double seconds, const char *before);

#endif /* IBC_TOOLS_TOP_TEXT_H */
