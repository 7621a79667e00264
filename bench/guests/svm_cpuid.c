// SPDX-License-Identifier: MIT
#define BENCH_NAME "svm_cpuid"
#define SWITCHES 300000
#define NESTED 0
#define CPUID_EXITS 1
#define TOUCH 0
#define GUESTS 1
#include "worldswitch.h"
