# SPDX-License-Identifier: MIT
if(NOT CMAKE_C_COMPILER_ID MATCHES Clang)
    message(FATAL_ERROR "SVMEMU_FUZZ needs clang (libFuzzer): use the fuzz preset")
endif()
file(GLOB svmemu_fuzz_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/fuzz/*.c)
foreach(source IN LISTS svmemu_fuzz_sources)
    get_filename_component(name ${source} NAME_WE)
    add_executable(fuzz_${name} ${source})
    target_include_directories(fuzz_${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include
        ${PROJECT_BINARY_DIR})
    add_dependencies(fuzz_${name} svmemu_tables)
    target_compile_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    target_link_libraries(fuzz_${name} PRIVATE svmemu_flags svmemu_static ${svmemu_deps})
    add_test(NAME fuzz.${name} COMMAND ${PROJECT_SOURCE_DIR}/tests/fuzz/run.sh $<TARGET_FILE:fuzz_${name}>
        ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name} ${PROJECT_BINARY_DIR}/fuzz_${name}_work 100000)
    set_tests_properties(fuzz.${name} PROPERTIES LABELS fuzz TIMEOUT 900)
endforeach()
