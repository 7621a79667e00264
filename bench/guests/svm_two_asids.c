// SPDX-License-Identifier: MIT
#define BENCH_NAME "svm_two_asids"
#define SWITCHES 300000
#define NESTED 1
#define CPUID_EXITS 0
#define TOUCH 0
#define GUESTS 2
#include "worldswitch.h"
