// SPDX-License-Identifier: MIT
/* Fixed-width names and the three address spaces. Included by everything. */
#ifndef SVMEMU_BASE_TYPES_H
#define SVMEMU_BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t i8;
typedef int16_t i16;
typedef int32_t i32;
typedef int64_t i64;
typedef unsigned __int128 u128;
typedef __int128 i128;

/* Guest-virtual (linear), guest-physical and system-physical addresses cannot be mixed up. Without
 * nested paging a guest-physical address is a system-physical one; the conversion is still written out. */
struct gva { u64 v; };
struct gpa { u64 v; };
struct spa { u64 v; };

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096u
#define PAGE_MASK 4095u

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define COLD __attribute__((cold, noinline))
#define NOINLINE __attribute__((noinline))

#endif
