// SPDX-License-Identifier: MIT
/** @file
 * Errors of the library. */
#ifndef SVMEMU_STATUS_H
#define SVMEMU_STATUS_H

#if defined(__GNUC__)
#define SVMEMU_API __attribute__((visibility("default")))
#else
#define SVMEMU_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** What a call returns; zero is success. A row of status.def is a name without SVMEMU_ and what svmemu_status_text() says of it:
 * @include status.def */
enum svmemu_status {
#define STATUS(name, text) SVMEMU_##name,
#include <svmemu/status.def>
#undef STATUS
};

/** The text of a status; never NULL. */
SVMEMU_API const char *svmemu_status_text(enum svmemu_status s);

#ifdef __cplusplus
}
#endif

#endif
