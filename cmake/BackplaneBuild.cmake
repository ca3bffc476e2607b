# SPDX-License-Identifier: Apache-2.0
# What every target of the project shares: warnings, sanitizers, how a plugin is built, the table of backends.

set(BACKPLANE_SANITIZE "" CACHE STRING "Sanitizers: address,undefined or thread")
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

add_library(backplane_flags INTERFACE)
target_compile_options(backplane_flags INTERFACE -Wall -Wextra -Wno-missing-field-initializers)
if(BACKPLANE_SANITIZE)
  target_compile_options(backplane_flags INTERFACE -fsanitize=${BACKPLANE_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(backplane_flags INTERFACE -fsanitize=${BACKPLANE_SANITIZE})
endif()

# Where plugins lie: one directory in the build tree, <libdir>/backplane/plugins in the install tree.
set(BACKPLANE_PLUGIN_OUTPUT_DIR ${CMAKE_BINARY_DIR}/lib/backplane/plugins)
set(BACKPLANE_PLUGIN_INSTALL_DIR ${CMAKE_INSTALL_LIBDIR}/backplane/plugins)

# backplane_add_plugin(<name> SOURCES ... [LIBRARIES ...] [OUTPUT_DIR dir]): libbackplane_<name>.so that exports one symbol.
function(backplane_add_plugin name)
  cmake_parse_arguments(arg "NO_INSTALL" "OUTPUT_DIR" "SOURCES;LIBRARIES" ${ARGN})
  if(NOT arg_OUTPUT_DIR)
    set(arg_OUTPUT_DIR ${BACKPLANE_PLUGIN_OUTPUT_DIR})
  endif()
  add_library(backplane_plugin_${name} MODULE ${arg_SOURCES})
  target_link_libraries(backplane_plugin_${name} PRIVATE backplane_flags backplane_plugin_api ${arg_LIBRARIES})
  set_target_properties(backplane_plugin_${name} PROPERTIES
    PREFIX "lib" OUTPUT_NAME backplane_${name}
    LIBRARY_OUTPUT_DIRECTORY ${arg_OUTPUT_DIR}
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    INSTALL_RPATH "$ORIGIN")
  target_link_options(backplane_plugin_${name} PRIVATE
    -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/plugin.map
    -Wl,-Bsymbolic-functions -Wl,-z,now -Wl,--exclude-libs,ALL)
  set_target_properties(backplane_plugin_${name} PROPERTIES LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/plugin.map)
  if(NOT arg_NO_INSTALL)
    install(TARGETS backplane_plugin_${name} LIBRARY DESTINATION ${BACKPLANE_PLUGIN_INSTALL_DIR} COMPONENT runtime)
  endif()
endfunction()

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
