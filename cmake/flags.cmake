# SPDX-License-Identifier: MIT
# One interface target carries the flags of every object of ours; consumers of the library get none of them.
add_library(svmemu_flags INTERFACE)
target_compile_features(svmemu_flags INTERFACE c_std_17)
target_compile_definitions(svmemu_flags INTERFACE
    $<$<STREQUAL:${SVMEMU_STAMP},full>:SVMEMU_STAMP_FULL=1>
    $<$<STREQUAL:${SVMEMU_DISPATCH},tail>:SVMEMU_DISPATCH_TAIL=1>)
target_compile_options(svmemu_flags INTERFACE -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes
    -Wold-style-definition -Woverride-init -Wincompatible-pointer-types -Wimplicit-function-declaration -Werror
    -fno-strict-aliasing -fwrapv)
set(svmemu_sanitize_flags "")
if(SVMEMU_SANITIZE)
    set(svmemu_sanitize_flags -fsanitize=${SVMEMU_SANITIZE} -fno-omit-frame-pointer)
    if(SVMEMU_SANITIZE MATCHES undefined)
        list(APPEND svmemu_sanitize_flags -fno-sanitize-recover=all)
    endif()
    target_compile_options(svmemu_flags INTERFACE ${svmemu_sanitize_flags})
    target_link_options(svmemu_flags INTERFACE ${svmemu_sanitize_flags})
endif()
# The tables of handlers are 50,000 relative relocations: packed they take 8 KB instead of 1.2 MB of every program and a third of the time.
include(CheckLinkerFlag)
set(svmemu_link_flags "")
check_linker_flag(C -Wl,-z,pack-relative-relocs SVMEMU_PACK_RELOCS)
if(SVMEMU_PACK_RELOCS)
    set(svmemu_link_flags -Wl,-z,pack-relative-relocs)
    target_link_options(svmemu_flags INTERFACE ${svmemu_link_flags})
endif()
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_C_FLAGS_RELEASE "-O2 -DNDEBUG")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g")
