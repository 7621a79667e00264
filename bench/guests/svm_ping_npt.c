// SPDX-License-Identifier: MIT
#define BENCH_NAME "svm_ping_npt"
#define SWITCHES 300000
#define NESTED 1
#define CPUID_EXITS 0
#define TOUCH 0
#define GUESTS 1
#include "worldswitch.h"
