# SPDX-License-Identifier: MIT
# ctest labels: unit, api, insn, svm, guest, golden, lint, slow, soak.
find_package(PkgConfig REQUIRED)
pkg_check_modules(SVMEMU_TEST REQUIRED IMPORTED_TARGET cmocka)
pkg_check_modules(SVMEMU_ORACLE IMPORTED_TARGET capstone)
find_library(SVMEMU_ZYDIS Zydis)
find_library(SVMEMU_ZYCORE Zycore)

# Unit tests see the inside of the library; API tests only its public headers. Both link the static one.
foreach(kind unit api)
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/${kind}/*.c)
    foreach(source IN LISTS sources)
        get_filename_component(name ${source} NAME_WE)
        set(target test_${kind}_${name})
        add_executable(${target} ${source})
        target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/include)
        if(kind STREQUAL unit)
            target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_BINARY_DIR})
        endif()
        target_compile_definitions(${target} PRIVATE SVMEMU_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
            SVMEMU_BINARY_DIR="${PROJECT_BINARY_DIR}")
        add_dependencies(${target} svmemu_tables)
        target_link_libraries(${target} PRIVATE svmemu_flags svmemu_static ${svmemu_deps} PkgConfig::SVMEMU_TEST)
        if(SVMEMU_ORACLE_FOUND)
            target_link_libraries(${target} PRIVATE PkgConfig::SVMEMU_ORACLE)
        endif()
        if(SVMEMU_ZYDIS)
            target_link_libraries(${target} PRIVATE ${SVMEMU_ZYDIS})
        endif()
        if(SVMEMU_ZYCORE)
            target_link_libraries(${target} PRIVATE ${SVMEMU_ZYCORE})
        endif()
        add_test(NAME ${kind}.${name} COMMAND ${target} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
        set(labels ${kind})
        if(name MATCHES "^svm_")
            list(APPEND labels svm)
        endif()
        set_tests_properties(${kind}.${name} PROPERTIES LABELS "${labels}" TIMEOUT 300)
    endforeach()
endforeach()

set_tests_properties(api.random_vmcb unit.exec_random PROPERTIES TIMEOUT 900) # about a minute with sanitizers on an idle processor
set_tests_properties(unit.exec_random PROPERTIES ENVIRONMENT "SVMEMU_RANDOM_HASH=${PROJECT_BINARY_DIR}/random.txt")
# Ten million random VMRUNs, from another seed than the million of api.random_vmcb.
add_test(NAME soak.random_vmcb COMMAND test_api_random_vmcb WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
set_tests_properties(soak.random_vmcb PROPERTIES LABELS "soak;svm" TIMEOUT 3600
    ENVIRONMENT "SVMEMU_RANDOM_VMRUNS=10000000;SVMEMU_RANDOM_SEED=0xAB1DE")
# Ten million random instructions, from another seed than those of unit.exec_random.
add_test(NAME soak.exec_random COMMAND test_unit_exec_random WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
set_tests_properties(soak.exec_random PROPERTIES LABELS soak TIMEOUT 3600
    ENVIRONMENT "SVMEMU_RANDOM_INSNS=10000000;SVMEMU_RANDOM_SEED=0xAB1DE")

# Ten million random device accesses, another seed.
add_test(NAME soak.machine_random COMMAND test_unit_machine_random WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
set_tests_properties(soak.machine_random PROPERTIES LABELS "soak" TIMEOUT 3600
    ENVIRONMENT "SVMEMU_RANDOM_ACCESSES=10000000;SVMEMU_RANDOM_SEED=0xD01CE5")

# The 32-bit half of unit.isa_native.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    set(native_dir ${PROJECT_SOURCE_DIR}/tests/native)
    add_custom_command(OUTPUT ${PROJECT_BINARY_DIR}/native_legacy
        COMMAND ${CMAKE_C_COMPILER} -m32 -std=gnu17 -O2 -ffreestanding -fno-pie -mgeneral-regs-only -fno-stack-protector
            -fcf-protection=none -fno-asynchronous-unwind-tables -Wall -Wextra -Werror -nostdlib -static -Wl,--build-id=none
            -Wl,-z,noexecstack -o ${PROJECT_BINARY_DIR}/native_legacy ${native_dir}/legacy.c
        DEPENDS ${native_dir}/legacy.c ${native_dir}/legacy.h COMMENT "Native helper for 32- and 16-bit code" VERBATIM)
    add_custom_target(native_helper ALL DEPENDS ${PROJECT_BINARY_DIR}/native_legacy)
    add_dependencies(test_unit_isa_native native_helper)
    set_tests_properties(unit.isa_native PROPERTIES SKIP_RETURN_CODE 77 ENVIRONMENT "SVMEMU_NATIVE_REPORT=${PROJECT_BINARY_DIR}/native.txt")
endif()

# A program built from the installed package. A sanitized or counting library wants a program of its kind, and a cross build one of its own:
# left out there.
if(NOT SVMEMU_SANITIZE AND NOT CMAKE_CROSSCOMPILING AND NOT CMAKE_C_FLAGS MATCHES "coverage|fprofile")
    add_test(NAME api.consumer COMMAND ${PROJECT_SOURCE_DIR}/tests/api/consumer/run.sh ${CMAKE_COMMAND} ${CMAKE_C_COMPILER}
        ${PROJECT_BINARY_DIR})
    set_tests_properties(api.consumer PROPERTIES LABELS api TIMEOUT 120)
endif()

# House rules.
add_test(NAME lint.layers COMMAND ${CMAKE_COMMAND} -DROOT=${PROJECT_SOURCE_DIR}
    -P ${PROJECT_SOURCE_DIR}/tests/lint/layers.cmake)
add_test(NAME lint.headers COMMAND ${CMAKE_COMMAND} -DROOT=${PROJECT_SOURCE_DIR} -DBUILD=${PROJECT_BINARY_DIR}
    -DCC=${CMAKE_C_COMPILER} -P ${PROJECT_SOURCE_DIR}/tests/lint/headers.cmake)
if(SVMEMU_DISPATCH STREQUAL tail AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    add_test(NAME lint.tail_calls COMMAND ${PROJECT_SOURCE_DIR}/tests/lint/tail_calls.sh $<TARGET_OBJECTS:svmemu_isa>
        $<TARGET_OBJECTS:svmemu_exec> COMMAND_EXPAND_LISTS)
    set_tests_properties(lint.tail_calls PROPERTIES LABELS lint TIMEOUT 60)
endif()
set_tests_properties(lint.layers lint.headers PROPERTIES LABELS lint TIMEOUT 120)
if(TARGET guests AND TARGET svmemu) # docs/SVM.md names tests of guests too
    add_test(NAME lint.svm_doc COMMAND ${CMAKE_COMMAND} -DROOT=${PROJECT_SOURCE_DIR} -DBUILD=${PROJECT_BINARY_DIR}
        -DCTEST=${CMAKE_CTEST_COMMAND} -P ${PROJECT_SOURCE_DIR}/tests/lint/svm_doc.cmake)
    set_tests_properties(lint.svm_doc PROPERTIES LABELS lint TIMEOUT 60)
endif()
if(NOT SVMEMU_SANITIZE AND NOT CMAKE_C_FLAGS MATCHES "coverage|fprofile")
    add_test(NAME lint.globals COMMAND ${CMAKE_COMMAND} -DLIBRARY=$<TARGET_FILE:svmemu_static>
        -P ${PROJECT_SOURCE_DIR}/tests/lint/globals.cmake)
    set_tests_properties(lint.globals PROPERTIES LABELS lint TIMEOUT 60)
endif()

# The reference of the library: nothing of the public headers may be unclear to doxygen.
find_program(SVMEMU_DOXYGEN doxygen)
if(SVMEMU_DOXYGEN)
    set(svmemu_docs ${CMAKE_COMMAND} -E env SVMEMU_DOCS=${PROJECT_BINARY_DIR}/docs ${SVMEMU_DOXYGEN} docs/Doxyfile)
    file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/docs)
    add_custom_target(docs COMMAND ${svmemu_docs} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} VERBATIM)
else()
    set(svmemu_docs sh -c "echo 'doxygen was not found when this was configured (scripts/packages.txt)' >&2 && exit 1")
endif()
add_test(NAME lint.doxygen COMMAND ${svmemu_docs} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
set_tests_properties(lint.doxygen PROPERTIES LABELS lint TIMEOUT 60)

# Guests under the program itself.
if(TARGET guests AND TARGET svmemu)
    foreach(name IN LISTS svmemu_examples)
        add_test(NAME guest.${name} COMMAND ${PROJECT_SOURCE_DIR}/tests/guest/run_example.sh $<TARGET_FILE:svmemu>
            ${svmemu_guest_dir}/${name}.elf ${PROJECT_SOURCE_DIR}/tests/guest/expect/${name}.txt)
        set_tests_properties(guest.${name} PROPERTIES LABELS "guest;svm" TIMEOUT 120)
    endforeach()
    foreach(test IN LISTS svmemu_self_tests)
        string(REGEX MATCH "^(.+)/(.+)/(.+)$" test ${test})
        set(folder ${CMAKE_MATCH_1})
        set(name ${CMAKE_MATCH_2})
        set(bits ${CMAKE_MATCH_3})
        set(labels guest)
        if(folder STREQUAL svm)
            list(APPEND labels svm)
        endif()
        foreach(cpu IN ITEMS "" LISTS svmemu_also_${name}) # the last --cpu counts
            set(test guest.${folder}.${name}.${bits})
            set(options ${svmemu_options_${name}})
            if(cpu)
                string(APPEND test .${cpu})
                list(APPEND options --cpu ${cpu})
            endif()
            add_test(NAME ${test} COMMAND ${PROJECT_SOURCE_DIR}/tests/guest/run_svm.sh $<TARGET_FILE:svmemu>
                ${svmemu_guest_dir}/${folder}_${name}_${bits}.elf ${options})
            set_tests_properties(${test} PROPERTIES LABELS "${labels}" TIMEOUT 240)
        endforeach()
    endforeach()
    add_test(NAME guest.explain COMMAND ${PROJECT_SOURCE_DIR}/tests/guest/explain.sh $<TARGET_FILE:svmemu> ${svmemu_guest_dir})
    set_tests_properties(guest.explain PROPERTIES LABELS "guest;svm" TIMEOUT 300)
    add_test(NAME guest.firmware COMMAND ${PROJECT_SOURCE_DIR}/tests/guest/firmware.sh $<TARGET_FILE:svmemu>
        ${PROJECT_BINARY_DIR}/firmware)
    set_tests_properties(guest.firmware PROPERTIES LABELS guest TIMEOUT 300 SKIP_RETURN_CODE 77)
    if(SVMEMU_OFFLINE)
        set_tests_properties(guest.firmware PROPERTIES ENVIRONMENT SVMEMU_OFFLINE=1)
    endif()
    add_test(NAME guest.own COMMAND ${PROJECT_SOURCE_DIR}/tests/guest/own.sh $<TARGET_FILE:svmemu> ${PROJECT_BINARY_DIR}/own)
    set_tests_properties(guest.own PROPERTIES LABELS guest TIMEOUT 60)
    add_test(NAME guest.console COMMAND ${PROJECT_SOURCE_DIR}/tests/guest/console.sh $<TARGET_FILE:svmemu>
        ${svmemu_guest_dir}/pc_serial.elf ${PROJECT_BINARY_DIR}/console)
    set_tests_properties(guest.console PROPERTIES LABELS guest TIMEOUT 300)
    add_test(NAME guest.where COMMAND ${PROJECT_SOURCE_DIR}/tests/guest/where.sh $<TARGET_FILE:svmemu>
        ${svmemu_guest_dir}/pc_stuck.elf ${PROJECT_BINARY_DIR}/where $<BOOL:${SVMEMU_DW_FOUND}>)
    set_tests_properties(guest.where PROPERTIES LABELS guest TIMEOUT 120)
    add_test(NAME guest.trace COMMAND ${PROJECT_SOURCE_DIR}/tests/guest/trace.sh $<TARGET_FILE:svmemu> ${svmemu_guest_dir}
        ${PROJECT_BINARY_DIR}/trace)
    set_tests_properties(guest.trace PROPERTIES LABELS guest TIMEOUT 120)
    add_test(NAME guest.cli COMMAND ${PROJECT_SOURCE_DIR}/tests/guest/cli.sh $<TARGET_FILE:svmemu>
        ${svmemu_guest_dir}/pc_ends.elf ${PROJECT_BINARY_DIR}/cli)
    set_tests_properties(guest.cli PROPERTIES LABELS guest TIMEOUT 120)
    add_test(NAME guest.firmware_linux COMMAND ${PROJECT_SOURCE_DIR}/tests/guest/firmware_linux.sh $<TARGET_FILE:svmemu>
        ${PROJECT_BINARY_DIR}/linux ${PROJECT_BINARY_DIR}/firmware)
    set_tests_properties(guest.firmware_linux PROPERTIES LABELS "guest" TIMEOUT 600 SKIP_RETURN_CODE 77 RESOURCE_LOCK "kernel;firmware")
    set_tests_properties(guest.firmware PROPERTIES RESOURCE_LOCK firmware)
    if(SVMEMU_OFFLINE)
        set_tests_properties(guest.firmware_linux PROPERTIES ENVIRONMENT SVMEMU_OFFLINE=1)
    endif()
    if(EXISTS ${PROJECT_SOURCE_DIR}/tests/guest/linux_pvh.sh)
        add_test(NAME guest.linux_pvh COMMAND ${PROJECT_SOURCE_DIR}/tests/guest/linux_pvh.sh $<TARGET_FILE:svmemu>
            ${svmemu_guest_dir}/init ${PROJECT_BINARY_DIR}/linux)
        set_tests_properties(guest.linux_pvh PROPERTIES LABELS "guest;slow" TIMEOUT 1500 SKIP_RETURN_CODE 77)
        add_test(NAME guest.linux_boot COMMAND ${PROJECT_SOURCE_DIR}/tests/guest/linux_boot.sh $<TARGET_FILE:svmemu>
            ${svmemu_guest_dir}/init ${PROJECT_BINARY_DIR}/linux)
        set_tests_properties(guest.linux_boot PROPERTIES LABELS "guest;slow" TIMEOUT 900 SKIP_RETURN_CODE 77 RESOURCE_LOCK kernel)
        add_test(NAME guest.linux_smp COMMAND ${PROJECT_SOURCE_DIR}/tests/guest/linux_smp.sh $<TARGET_FILE:svmemu>
            ${svmemu_guest_dir}/smp_init ${PROJECT_BINARY_DIR}/linux ${PROJECT_BINARY_DIR}/xen)
        set_tests_properties(guest.linux_smp PROPERTIES LABELS "guest;slow" TIMEOUT 1500 SKIP_RETURN_CODE 77
            RESOURCE_LOCK "kernel;xen")
        add_test(NAME guest.memtest COMMAND ${PROJECT_SOURCE_DIR}/tests/guest/memtest.sh $<TARGET_FILE:svmemu>
            ${PROJECT_BINARY_DIR}/memtest)
        set_tests_properties(guest.memtest PROPERTIES LABELS "guest;slow" TIMEOUT 600 SKIP_RETURN_CODE 77)
        add_test(NAME soak.memtest COMMAND ${PROJECT_SOURCE_DIR}/tests/guest/memtest.sh $<TARGET_FILE:svmemu>
            ${PROJECT_BINARY_DIR}/memtest full)
        set_tests_properties(soak.memtest PROPERTIES LABELS "guest;soak" TIMEOUT 3600 SKIP_RETURN_CODE 77)
        add_test(NAME guest.xen COMMAND ${PROJECT_SOURCE_DIR}/tests/guest/xen.sh $<TARGET_FILE:svmemu>
            ${svmemu_guest_dir}/smp_init ${PROJECT_BINARY_DIR}/xen)
        set_tests_properties(guest.xen PROPERTIES LABELS "guest;slow" TIMEOUT 1500 SKIP_RETURN_CODE 77 RESOURCE_LOCK xen)
        if(SVMEMU_DISPATCH STREQUAL tail)
            add_test(NAME guest.small_stack COMMAND ${PROJECT_SOURCE_DIR}/tests/guest/small_stack.sh $<TARGET_FILE:svmemu>
                ${svmemu_guest_dir}/bench_alu.elf)
            set_tests_properties(guest.small_stack PROPERTIES LABELS guest TIMEOUT 300)
        endif()
        add_test(NAME guest.kvm COMMAND ${PROJECT_SOURCE_DIR}/tests/guest/kvm.sh $<TARGET_FILE:svmemu> ${svmemu_guest_dir}/kvm_init
            ${PROJECT_BINARY_DIR}/linux $<$<NOT:$<STREQUAL:${SVMEMU_DISPATCH},tail>>:once>)
        add_test(NAME guest.kvm_avic COMMAND ${PROJECT_SOURCE_DIR}/tests/guest/kvm.sh $<TARGET_FILE:svmemu> ${svmemu_guest_dir}/kvm_init
            ${PROJECT_BINARY_DIR}/linux avic)
        set_tests_properties(guest.kvm guest.kvm_avic PROPERTIES LABELS "guest;svm;slow" TIMEOUT 1500 SKIP_RETURN_CODE 77 RESOURCE_LOCK kernel)
        if(SVMEMU_OFFLINE)
            set_tests_properties(guest.kvm guest.kvm_avic PROPERTIES ENVIRONMENT SVMEMU_OFFLINE=1)
        endif()
        add_test(NAME guest.same COMMAND ${PROJECT_SOURCE_DIR}/tests/guest/same.sh $<TARGET_FILE:svmemu> ${svmemu_guest_dir}
            ${svmemu_guest_dir}/init ${PROJECT_BINARY_DIR}/linux ${PROJECT_BINARY_DIR}/hashes.txt)
        set_tests_properties(guest.same PROPERTIES LABELS "guest;same" TIMEOUT 900 SKIP_RETURN_CODE 77 RESOURCE_LOCK kernel)
        set_tests_properties(guest.linux_pvh PROPERTIES RESOURCE_LOCK kernel)
        if(SVMEMU_OFFLINE)
            set_tests_properties(guest.same PROPERTIES ENVIRONMENT SVMEMU_OFFLINE=1)
            set_tests_properties(guest.linux_pvh PROPERTIES ENVIRONMENT SVMEMU_OFFLINE=1)
            set_tests_properties(guest.linux_boot guest.linux_smp guest.xen guest.memtest soak.memtest PROPERTIES ENVIRONMENT SVMEMU_OFFLINE=1)
        endif()
    endif()
endif()
