// SPDX-License-Identifier: MIT
/** @file
 * Version of the library. */
#ifndef SVMEMU_VERSION_H
#define SVMEMU_VERSION_H

#define SVMEMU_VERSION "0.1.0"

#endif
