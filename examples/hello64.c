// SPDX-License-Identifier: MIT
/* hello as a 64-bit host: nothing in it depends on the width. */
#include "hello.c"
