# SPDX-License-Identifier: Apache-2.0
# The install tree. It is relocatable: everything finds everything else relative to itself.
#
#   component   what                                                    for
#   runtime     lib/libbackplane.so.N, bin/backplane, lib/backplane/    running programs; bin/backplane-bench and
#               share/backplane/suites where the benchmarks are built
#   sdk         plugin.h, sdk/, template, Backplane::plugin_api         plugin authors; needs no other component
#   devel       headers, Backplane::backplane, needs runtime and sdk    writing programs
#
# Included last, when all targets exist; a target that was not built is left out.
include(CMakePackageConfigHelpers)
set(BACKPLANE_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/Backplane)
set(BACKPLANE_PKGCONFIG_DIR ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH BACKPLANE_PC_TO_PREFIX /${BACKPLANE_PKGCONFIG_DIR} /)
string(REGEX REPLACE "/$" "" BACKPLANE_PC_TO_PREFIX "${BACKPLANE_PC_TO_PREFIX}")

# --- sdk ---------------------------------------------------------------------------------------------------------------
set_target_properties(backplane_plugin_api PROPERTIES EXPORT_NAME plugin_api)
install(TARGETS backplane_plugin_api EXPORT BackplaneSdk COMPONENT sdk)
install(DIRECTORY plugin_api/include/ plugin_api/sdk/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT sdk
  FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")
install(DIRECTORY plugin_api/template/ DESTINATION ${CMAKE_INSTALL_DATADIR}/backplane/template COMPONENT sdk)
install(FILES plugin_api/OPERATIONS.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT sdk)
install(EXPORT BackplaneSdk NAMESPACE Backplane:: FILE BackplaneSdkTargets.cmake DESTINATION ${BACKPLANE_CMAKE_DIR}
  COMPONENT sdk)
configure_package_config_file(cmake/BackplaneConfig.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/BackplaneConfig.cmake
  INSTALL_DESTINATION ${BACKPLANE_CMAKE_DIR} NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/BackplaneConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/BackplaneConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/BackplaneConfigVersion.cmake
  cmake/BackplanePlugin.cmake cmake/plugin.map DESTINATION ${BACKPLANE_CMAKE_DIR} COMPONENT sdk)
configure_file(cmake/backplane-plugin.pc.in backplane-plugin.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/backplane-plugin.pc DESTINATION ${BACKPLANE_PKGCONFIG_DIR} COMPONENT sdk)

# --- runtime: the plugins and the two helpers install themselves ----------------------------------------------------------
if(TARGET backplane_cli)
  set_target_properties(backplane_cli PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
  install(TARGETS backplane_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT runtime)
endif()
if(TARGET backplane_bench)
  install(TARGETS backplane_bench RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT runtime OPTIONAL)
  install(DIRECTORY bench/suites DESTINATION ${CMAKE_INSTALL_DATADIR}/backplane COMPONENT runtime FILES_MATCHING PATTERN "*.suite")
endif()
if(NOT TARGET backplane)
  return()
endif()
set_target_properties(backplane PROPERTIES EXPORT_NAME backplane INSTALL_RPATH "$ORIGIN")
install(TARGETS backplane EXPORT BackplaneDevel
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT devel
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

# --- devel -------------------------------------------------------------------------------------------------------------
foreach(folder plugin_api/host autotune graph frontend)
  if(IS_DIRECTORY ${PROJECT_SOURCE_DIR}/${folder}/include)
    install(DIRECTORY ${folder}/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT devel
      FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")
  endif()
endforeach()
install(EXPORT BackplaneDevel NAMESPACE Backplane:: FILE BackplaneDevelTargets.cmake DESTINATION ${BACKPLANE_CMAKE_DIR}
  COMPONENT devel)
configure_file(cmake/backplane.pc.in backplane.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/backplane.pc DESTINATION ${BACKPLANE_PKGCONFIG_DIR} COMPONENT devel)
