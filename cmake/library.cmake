# SPDX-License-Identifier: MIT
# The row generator, one object library per layer, and the static and shared library made of the same objects.
set(SVMEMU_LAYERS base decoder bus mmu cpu svm apic dev timing exec isa machine)

file(GLOB svmemu_isa_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/isa/*.c)
set(svmemu_gen_names isa_rows isa_bodies isa_index isa_names isa_stamps)
set(svmemu_gen "")
foreach(name IN LISTS svmemu_gen_names)
    list(APPEND svmemu_gen ${PROJECT_BINARY_DIR}/gen/${name}.inc)
endforeach()
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/gen)
add_executable(isagen ${PROJECT_SOURCE_DIR}/tools/isagen.c)
target_include_directories(isagen PRIVATE ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(isagen PRIVATE svmemu_flags)
set(svmemu_isagen_env "")
if(SVMEMU_SANITIZE)
    set(svmemu_isagen_env ${CMAKE_COMMAND} -E env ASAN_OPTIONS=detect_leaks=0)
endif()
add_custom_command(OUTPUT ${svmemu_gen}
    COMMAND ${svmemu_isagen_env} $<TARGET_PROPERTY:isagen,CROSSCOMPILING_EMULATOR> $<TARGET_FILE:isagen> ${PROJECT_BINARY_DIR}
        ${svmemu_isa_sources}
    DEPENDS isagen ${svmemu_isa_sources}
    COMMENT "Generating the instruction tables" COMMAND_EXPAND_LISTS VERBATIM)
# The DSDT: iasl makes a C array of it.
find_program(SVMEMU_IASL iasl REQUIRED)
add_custom_command(OUTPUT ${PROJECT_BINARY_DIR}/gen/dsdt.inc
    COMMAND ${SVMEMU_IASL} -vs -we -tc -p ${PROJECT_BINARY_DIR}/gen/dsdt ${PROJECT_SOURCE_DIR}/src/dev/dsdt.asl
    COMMAND sed "s/^unsigned char/static const unsigned char/" ${PROJECT_BINARY_DIR}/gen/dsdt.hex > ${PROJECT_BINARY_DIR}/gen/dsdt.inc
    DEPENDS ${PROJECT_SOURCE_DIR}/src/dev/dsdt.asl COMMENT "Compiling the DSDT" VERBATIM)
add_custom_target(svmemu_tables DEPENDS ${svmemu_gen} ${PROJECT_BINARY_DIR}/gen/dsdt.inc)

set(svmemu_objects "")
foreach(layer IN LISTS SVMEMU_LAYERS)
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${layer}/*.c)
    if(layer STREQUAL machine AND NOT SVMEMU_LOADERS)
        list(FILTER sources EXCLUDE REGEX "/(load_[a-z0-9_]*|unpack)\\.c$")
    endif()
    if(NOT sources)
        continue()
    endif()
    add_library(svmemu_${layer} OBJECT ${sources})
    add_dependencies(svmemu_${layer} svmemu_tables)
    target_include_directories(svmemu_${layer} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include
        ${PROJECT_BINARY_DIR})
    target_link_libraries(svmemu_${layer} PRIVATE svmemu_flags)
    target_compile_definitions(svmemu_${layer} PRIVATE SVMEMU_BUILDING=1 $<$<BOOL:${SVMEMU_LOADERS}>:SVMEMU_LOADERS=1>)
    # The vectoriser of short straight-line code costs handlers 5 % (docs/ARCHITECTURE.md, speed).
    if(layer MATCHES "^(exec|isa)$")
        target_compile_options(svmemu_${layer} PRIVATE -fno-tree-slp-vectorize)
        if(SVMEMU_DISPATCH STREQUAL tail)
            target_compile_options(svmemu_${layer} PRIVATE -O2 -foptimize-sibling-calls)
        endif()
    endif()
    list(APPEND svmemu_objects $<TARGET_OBJECTS:svmemu_${layer}>)
endforeach()

# Copies of the per-register handlers, under other names of their tables: src/isa/stamped.h says why. They cost no compiling.
if(SVMEMU_STAMP STREQUAL full)
    foreach(part alu mem three branch)
        set(object $<FILTER:$<TARGET_OBJECTS:svmemu_isa>,INCLUDE,stamp_${part}>)
        foreach(copy b c)
            set(output ${PROJECT_BINARY_DIR}/gen/stamp_${part}_${copy}.o)
            add_custom_command(OUTPUT ${output}
                COMMAND ${CMAKE_OBJCOPY} --redefine-sym stamped_${part}=stamped_${part}_${copy} ${object} ${output}
                DEPENDS ${object} COMMENT "Copy ${copy} of stamp_${part}" VERBATIM)
            set_source_files_properties(${output} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
            list(APPEND svmemu_objects ${output})
        endforeach()
    endforeach()
endif()

set(svmemu_deps "")
if(SVMEMU_LOADERS)
    find_package(PkgConfig REQUIRED)
    pkg_check_modules(SVMEMU_LOAD REQUIRED IMPORTED_TARGET libelf zlib liblzma liblz4 libzstd)
    list(APPEND svmemu_deps PkgConfig::SVMEMU_LOAD)
    if(TARGET svmemu_machine)
        target_link_libraries(svmemu_machine PRIVATE PkgConfig::SVMEMU_LOAD)
    endif()
endif()

foreach(kind STATIC SHARED)
    string(TOLOWER svmemu_${kind} target)
    add_library(${target} ${kind} ${svmemu_objects})
    target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
        $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    target_link_options(${target} PRIVATE ${svmemu_sanitize_flags} ${svmemu_link_flags})
    set_target_properties(${target} PROPERTIES LINKER_LANGUAGE C OUTPUT_NAME svmemu VERSION ${PROJECT_VERSION}
        SOVERSION ${PROJECT_VERSION_MAJOR})
    foreach(dep IN LISTS svmemu_deps)
        target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:${dep}>)
    endforeach()
endforeach()
set_target_properties(svmemu_static PROPERTIES EXPORT_NAME static)
set_target_properties(svmemu_shared PROPERTIES EXPORT_NAME svmemu)
add_library(svmemu::svmemu ALIAS svmemu_shared)
add_library(svmemu::static ALIAS svmemu_static)
