# SPDX-License-Identifier: MIT
include(CMakePackageConfigHelpers)
install(TARGETS svmemu_shared EXPORT svmemu-targets)
install(TARGETS svmemu_static EXPORT svmemu-targets)
if(TARGET svmemu)
    install(TARGETS svmemu)
endif()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/svmemu DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING
    PATTERN "*.h" PATTERN "*.def")
if(EXISTS ${PROJECT_SOURCE_DIR}/man/svmemu.1)
    install(FILES ${PROJECT_SOURCE_DIR}/man/svmemu.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()
set(SVMEMU_PC_PRIVATE "")
if(SVMEMU_LOADERS)
    set(SVMEMU_PC_PRIVATE "libelf zlib liblzma liblz4 libzstd") # what the static library needs besides
endif()
set(svmemu_config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/svmemu)
install(EXPORT svmemu-targets NAMESPACE svmemu:: DESTINATION ${svmemu_config_dir})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/svmemu-config.cmake.in
    ${PROJECT_BINARY_DIR}/svmemu-config.cmake INSTALL_DESTINATION ${svmemu_config_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/svmemu-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/svmemu-config.cmake ${PROJECT_BINARY_DIR}/svmemu-config-version.cmake
    DESTINATION ${svmemu_config_dir})
# Relative to its own place, so that the prefix may be chosen when installing.
file(RELATIVE_PATH SVMEMU_PC_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(${PROJECT_SOURCE_DIR}/cmake/svmemu.pc.in ${PROJECT_BINARY_DIR}/svmemu.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/svmemu.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
