# SPDX-License-Identifier: Apache-2.0
# What every target of the project shares: warnings, sanitizers, how a plugin is built, the table of backends.

set(BACKPLANE_SANITIZE "" CACHE STRING "Sanitizers: address,undefined or thread")
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Paths are taken relative to the checkout, so that another clone or build folder finds what this one compiled.
  set(launcher ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CCACHE_PROGRAM})
  set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
endif()

add_library(backplane_flags INTERFACE)
target_compile_options(backplane_flags INTERFACE -Wall -Wextra -Wno-missing-field-initializers
  # What is packaged shows the lines of messages relative to the source tree, not where that lay when it was built.
  $<$<CONFIG:Release>:-fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=>)
if(BACKPLANE_SANITIZE)
  target_compile_options(backplane_flags INTERFACE -fsanitize=${BACKPLANE_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(backplane_flags INTERFACE -fsanitize=${BACKPLANE_SANITIZE})
endif()

# Where plugins lie: one directory in the build tree, <libdir>/backplane/plugins in the install tree.
set(BACKPLANE_PLUGIN_OUTPUT_DIR ${CMAKE_BINARY_DIR}/lib/backplane/plugins)
set(BACKPLANE_PLUGIN_INSTALL_DIR ${CMAKE_INSTALL_LIBDIR}/backplane/plugins)

include(BackplanePlugin) # backplane_add_plugin

# A backend is AUTO (built when its needs are found), ON (an error when they are not) or OFF.
define_property(GLOBAL PROPERTY BACKPLANE_BACKENDS BRIEF_DOCS "lines of the configure summary")
function(backplane_backend_option name)
  string(TOUPPER ${name} upper)
  set(BACKPLANE_${upper} AUTO CACHE STRING "Backend ${name}: AUTO, ON or OFF")
  set_property(CACHE BACKPLANE_${upper} PROPERTY STRINGS AUTO ON OFF)
endfunction()
function(backplane_report_backend name text)
  set_property(GLOBAL APPEND PROPERTY BACKPLANE_BACKENDS "${name}|${text}")
endfunction()
# backplane_backend_missing(<name> <what is missing>): skipped under AUTO, an error under ON.
function(backplane_backend_missing name what)
  string(TOUPPER ${name} upper)
  if(BACKPLANE_${upper} STREQUAL "ON")
    message(FATAL_ERROR "BACKPLANE_${upper}=ON, but ${what}")
  endif()
  backplane_report_backend(${name} "skipped because ${what}")
endfunction()
function(backplane_print_backends)
  get_property(lines GLOBAL PROPERTY BACKPLANE_BACKENDS)
  message(STATUS "Backends:")
  foreach(line ${lines})
    string(REPLACE "|" ";" parts "${line}")
    list(GET parts 0 name)
    list(GET parts 1 text)
    message(STATUS "  ${name}: ${text}")
  endforeach()
endfunction()

# backplane_add_build_id(<plugin> [SALT <text>] [FILES <pattern>...]): a generated header <plugin>_build_id.h that defines
# BACKPLANE_<PLUGIN>_BUILD_ID, a hash of the folder's sources, of FILES, of the C++ compiler and of SALT: whatever decides how
# kernels behave, so that stored measurements, verdicts and binaries die with a change. BACKPLANE_<PLUGIN>_OWN_ID is the same
# without FILES.
set(BACKPLANE_CODEGEN_FILES ${PROJECT_SOURCE_DIR}/plugin_api/sdk/codegen/src/* ${PROJECT_SOURCE_DIR}/plugin_api/sdk/codegen/kernels/*)
function(backplane_add_build_id name)
  cmake_parse_arguments(arg "" "SALT" "FILES" ${ARGN})
  string(TOUPPER ${name} upper)
  file(GLOB own_files CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp ${CMAKE_CURRENT_SOURCE_DIR}/*.h*)
  file(GLOB other_files CONFIGURE_DEPENDS ${arg_FILES})
  set(build_id ${CMAKE_CURRENT_BINARY_DIR}/${name}_build_id.h)
  add_custom_command(OUTPUT ${build_id} DEPENDS ${own_files} ${other_files} ${PROJECT_SOURCE_DIR}/cmake/build_id.cmake
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${build_id} -DNAME=BACKPLANE_${upper} "-DOWN=${own_files}" "-DFILES=${other_files}"
      "-DSALT=${CMAKE_CXX_COMPILER_ID}-${CMAKE_CXX_COMPILER_VERSION}-${CMAKE_BUILD_TYPE}-${arg_SALT}"
      -P ${PROJECT_SOURCE_DIR}/cmake/build_id.cmake VERBATIM)
  target_sources(backplane_plugin_${name} PRIVATE ${build_id})
  target_include_directories(backplane_plugin_${name} PRIVATE ${CMAKE_CURRENT_BINARY_DIR})
endfunction()
