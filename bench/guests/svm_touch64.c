// SPDX-License-Identifier: MIT
#define BENCH_NAME "svm_touch64"
#define SWITCHES 100000
#define NESTED 0
#define CPUID_EXITS 0
#define TOUCH 64
#define GUESTS 1
#include "worldswitch.h"
