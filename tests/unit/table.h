// SPDX-License-Identifier: MIT
/* Tables of tests/data: a line for each row, columns between separators; empty lines and those that begin with # do not count. */
#ifndef TESTS_UNIT_TABLE_H
#define TESTS_UNIT_TABLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The file tests/data/NAME as a string; the caller frees it. */
static inline char *table_read(const char *name)
{
    enum { MOST = 1 << 18 };
    char path[1024];
    snprintf(path, sizeof(path), "%s/tests/data/%s", SVMEMU_SOURCE_DIR, name);
    FILE *f = fopen(path, "rb");
    char *s = calloc(1, MOST);
    assert_non_null(f);
    assert_non_null(s);
    assert_true(fread(s, 1, MOST - 1, f) < MOST - 1);
    fclose(f);
    return s;
}

/* The next row at *at, cut off there, and its line number; NULL: no more. *line begins with 0. */
static inline char *table_row(char **at, unsigned *line)
{
    while (*at && **at) {
        char *row = *at, *end = strchr(row, '\n');
        *at = end ? end + 1 : NULL;
        if (end)
            *end = 0;
        ++*line;
        if (*row && *row != '#')
            return row;
    }
    return NULL;
}

static inline char *table_trim(char *s)
{
    while (*s == ' ')
        s++;
    for (size_t n = strlen(s); n && s[n - 1] == ' '; n--)
        s[n - 1] = 0;
    return s;
}

/* Cuts a row into n columns without surrounding spaces; the last takes the rest. Returns how many there were, the others are "". */
static inline unsigned table_columns(char *row, char separator, char *column[], unsigned n)
{
    unsigned found = 1;
    for (unsigned i = 0; i < n; i++) {
        char *end = i + 1 < n ? strchr(row, separator) : NULL;
        column[i] = row;
        found += end != NULL;
        row = end ? end + 1 : row + strlen(row);
        if (end)
            *end = 0;
        column[i] = table_trim(column[i]);
    }
    return found;
}

#endif
