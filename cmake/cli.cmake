# SPDX-License-Identifier: MIT
if(NOT SVMEMU_LOADERS)
    message(FATAL_ERROR "SVMEMU_CLI needs SVMEMU_LOADERS: configure with -DSVMEMU_CLI=OFF to build the bare library")
endif()
pkg_check_modules(SVMEMU_CLI_DEPS REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(SVMEMU_CAPSTONE REQUIRED capstone) # its header only: src/cli/disasm.c loads it when it is asked for
pkg_check_modules(SVMEMU_DW libdw) # likewise, for back traces by unwind data; without it frame pointers are followed
file(GLOB svmemu_cli_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/cli/*.c)
if(svmemu_cli_sources)
    add_executable(svmemu ${svmemu_cli_sources})
    target_include_directories(svmemu PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include
        ${PROJECT_BINARY_DIR} ${SVMEMU_CAPSTONE_INCLUDE_DIRS})
    target_link_libraries(svmemu PRIVATE svmemu_flags svmemu_static PkgConfig::SVMEMU_LOAD PkgConfig::SVMEMU_CLI_DEPS ${CMAKE_DL_LIBS})
    if(SVMEMU_DW_FOUND)
        target_compile_definitions(svmemu PRIVATE SVMEMU_LIBDW=1)
    endif()
    set_target_properties(svmemu PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
endif()
