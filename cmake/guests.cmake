# SPDX-License-Identifier: MIT
# Freestanding guests: 64-bit code and a 32-bit Multiboot entry, linked as ELF64 and wrapped into ELF32 because that is
# what Multiboot 1 loaders take.
# gcc builds them whatever compiles the rest: one of its flags keeps loops from becoming calls of memset, which guests do not have all.
if(CMAKE_C_COMPILER_ID STREQUAL GNU)
    set(SVMEMU_GUEST_CC ${CMAKE_C_COMPILER} CACHE FILEPATH "gcc for guests")
else()
    find_program(SVMEMU_GUEST_CC gcc DOC "gcc for guests")
endif()
if(NOT SVMEMU_GUEST_CC)
    message(FATAL_ERROR "guests need gcc: name it by -DSVMEMU_GUEST_CC=..., or leave them out by -DSVMEMU_GUESTS=OFF")
endif()
set(svmemu_guest_lib ${PROJECT_SOURCE_DIR}/examples/lib)
set(svmemu_guest_dir ${PROJECT_BINARY_DIR}/guests)
# An initrd carries its init's debug information, so the directories in it are cut off: every checkout and build makes the same files.
set(svmemu_guest_cflags -ffile-prefix-map=${PROJECT_SOURCE_DIR}/= -ffile-prefix-map=${PROJECT_BINARY_DIR}=. -std=gnu17
    -O2 -g -ffreestanding -fno-pie -fno-pic -mno-red-zone -mgeneral-regs-only
    -fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none -fno-tree-loop-distribute-patterns
    -Wall -Wextra -Werror -I${svmemu_guest_lib})
set(svmemu_guest_tests ${PROJECT_SOURCE_DIR}/tests/guest/svm)
file(GLOB svmemu_guest_headers CONFIGURE_DEPENDS ${svmemu_guest_lib}/*.h ${svmemu_guest_tests}/lib/*.h)
file(MAKE_DIRECTORY ${svmemu_guest_dir})
set(svmemu_guests "")

# svmemu_guest(NAME BITS SOURCE...): builds ${svmemu_guest_dir}/NAME.elf from the runtime of the examples and the sources
function(svmemu_guest name bits)
    set(objects "")
    foreach(source IN ITEMS ${svmemu_guest_lib}/boot${bits}.S ${svmemu_guest_lib}/runtime.c ${svmemu_guest_lib}/svm.c ${ARGN})
        get_filename_component(base ${source} NAME)
        set(object ${svmemu_guest_dir}/${name}.${base}.o)
        add_custom_command(OUTPUT ${object}
            COMMAND ${SVMEMU_GUEST_CC} -m${bits} ${svmemu_guest_cflags} -I${svmemu_guest_tests}/lib -c ${source} -o ${object}
            DEPENDS ${source} ${svmemu_guest_headers} COMMENT "Guest ${name}: ${base}" VERBATIM)
        list(APPEND objects ${object})
    endforeach()
    if(bits EQUAL 64)
        set(emulation elf_x86_64)
    else()
        set(emulation elf_i386)
    endif()
    set(elf ${svmemu_guest_dir}/${name}.elf)
    add_custom_command(OUTPUT ${elf}
        COMMAND ld -m ${emulation} -nostdlib -static -z noexecstack -z max-page-size=4096 --no-warn-rwx-segments
            -T ${svmemu_guest_lib}/guest.ld -o ${elf}.link ${objects}
        COMMAND objcopy -O elf32-i386 --strip-debug ${elf}.link ${elf}
        DEPENDS ${objects} ${svmemu_guest_lib}/guest.ld COMMENT "Guest ${name}.elf" VERBATIM)
    set_property(GLOBAL APPEND PROPERTY svmemu_guest_elfs ${elf})
endfunction()

# A guest's word size is 32 where its name says so (hello), 64 else.
file(GLOB svmemu_example_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/examples/*.c)
set(svmemu_examples "")
foreach(source IN LISTS svmemu_example_sources)
    get_filename_component(name ${source} NAME_WE)
    set(bits 64)
    if(name STREQUAL hello)
        set(bits 32)
    endif()
    svmemu_guest(${name} ${bits} ${source})
    list(APPEND svmemu_examples ${name})
endforeach()
file(GLOB svmemu_bench_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bench/guests/*.c)
foreach(source IN LISTS svmemu_bench_sources)
    get_filename_component(name ${source} NAME_WE)
    svmemu_guest(bench_${name} 64 ${source})
endforeach()

# Guests that judge themselves. Their first lines say for which word sizes they are built (bits: 64 where nothing is said) and with
# which options of `svmemu run` (run:) and on which other processors (also:) they are tested; svmemu_self_tests lists FOLDER/NAME/BITS.
# In the folder pc those without a run line are guests for tests of the program's console and messages.
file(GLOB svmemu_self_sources CONFIGURE_DEPENDS ${svmemu_guest_tests}/*.c ${PROJECT_SOURCE_DIR}/tests/guest/pc/*.c)
file(GLOB svmemu_svm_lib CONFIGURE_DEPENDS ${svmemu_guest_tests}/lib/*.c)
set(svmemu_self_tests "")
foreach(source IN LISTS svmemu_self_sources)
    get_filename_component(name ${source} NAME_WE)
    get_filename_component(folder ${source} DIRECTORY)
    get_filename_component(folder ${folder} NAME)
    file(STRINGS ${source} lines LIMIT_COUNT 5)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
    set(sizes 64)
    set(options none)
    set(svmemu_also_${name} "")
    foreach(line IN LISTS lines)
        if(line MATCHES "^/\\* bits: ([0-9 ]+) \\*/")
            string(REPLACE " " ";" sizes ${CMAKE_MATCH_1})
        elseif(line MATCHES "^/\\* run: (.+) \\*/")
            string(REPLACE " " ";" options ${CMAKE_MATCH_1})
        elseif(line MATCHES "^/\\* also: (.+) \\*/")
            string(REPLACE " " ";" svmemu_also_${name} ${CMAKE_MATCH_1})
        endif()
    endforeach()
    if(folder STREQUAL pc AND options STREQUAL none)
        svmemu_guest(pc_${name} 64 ${source})
        continue()
    endif()
    set(svmemu_options_${name} "")
    if(NOT options STREQUAL none)
        set(svmemu_options_${name} ${options})
    endif()
    foreach(bits IN LISTS sizes)
        svmemu_guest(${folder}_${name}_${bits} ${bits} ${source} ${svmemu_svm_lib})
        list(APPEND svmemu_self_tests ${folder}/${name}/${bits})
    endforeach()
endforeach()

# svmemu_init(NAME [DEPENDS FILE...] SOURCE...): ${svmemu_guest_dir}/NAME, a first process for Linux from sources of tests/guest
file(GLOB svmemu_init_headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/guest/*/*.h)
function(svmemu_init name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" DEPENDS)
    list(TRANSFORM arg_UNPARSED_ARGUMENTS PREPEND ${PROJECT_SOURCE_DIR}/tests/guest/ OUTPUT_VARIABLE sources)
    add_custom_command(OUTPUT ${svmemu_guest_dir}/${name}
        COMMAND ${SVMEMU_GUEST_CC} ${svmemu_guest_cflags} -nostdlib -static -Wa,-I${svmemu_guest_dir}
            -Wl,--build-id=none -Wl,-z,noexecstack -o ${svmemu_guest_dir}/${name} ${sources}
        DEPENDS ${sources} ${svmemu_init_headers} ${arg_DEPENDS} COMMENT "Guest ${name}" VERBATIM)
    set_property(GLOBAL APPEND PROPERTY svmemu_guest_elfs ${svmemu_guest_dir}/${name})
endfunction()
svmemu_init(init init/init.c)
svmemu_init(smp_init smp/init.c smp/processors.c smp/memory.c smp/processes.c smp/pipes.c smp/signals.c smp/timers.c smp/clocks.c
    smp/report.c lib/thread.c)
include(cmake/kvm_guest.cmake)
get_property(svmemu_guest_elfs GLOBAL PROPERTY svmemu_guest_elfs)
add_custom_target(guests ALL DEPENDS ${svmemu_guest_elfs})
