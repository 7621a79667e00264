// SPDX-License-Identifier: MIT
/* A bounded text under construction, as the printers of svm use it; n counts what would have been written. */
#ifndef SVMEMU_SVM_TEXT_H
#define SVMEMU_SVM_TEXT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

typedef unsigned long long ull;

struct text {
    char *buf;
    size_t size, n;
};

static inline void __attribute__((format(printf, 2, 3))) put(struct text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int k = vsnprintf(t->n < t->size ? t->buf + t->n : NULL, t->n < t->size ? t->size - t->n : 0, fmt, ap);
    va_end(ap);
    if (k > 0)
        t->n += (size_t)k;
}

#endif
