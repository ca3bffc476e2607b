# SPDX-License-Identifier: Apache-2.0
# How a plugin is built, here and, installed beside the SDK, in the project of any author.
#
#   backplane_add_plugin(<name> SOURCES file ... [LIBRARIES target ...] [OUTPUT_DIR dir] [NO_INSTALL])
#
# makes target backplane_plugin_<name>: libbackplane_<name>.so, which exports backplane_plugin_v1 and nothing else, binds
# all its symbols when it is loaded, and is installed into <libdir>/backplane/plugins.
set(BACKPLANE_PLUGIN_MAP ${CMAKE_CURRENT_LIST_DIR}/plugin.map)

function(backplane_add_plugin name)
  cmake_parse_arguments(arg "NO_INSTALL" "OUTPUT_DIR" "SOURCES;LIBRARIES" ${ARGN})
  if(NOT arg_SOURCES)
    message(FATAL_ERROR "backplane_add_plugin(${name}): no SOURCES")
  endif()
  if(NOT arg_OUTPUT_DIR)
    set(arg_OUTPUT_DIR ${BACKPLANE_PLUGIN_OUTPUT_DIR}) # where the build tree of Backplane itself looks; empty elsewhere
  endif()
  if(NOT arg_OUTPUT_DIR)
    set(arg_OUTPUT_DIR ${CMAKE_CURRENT_BINARY_DIR})
  endif()
  set(target backplane_plugin_${name})
  add_library(${target} MODULE ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE Backplane::plugin_api ${arg_LIBRARIES})
  if(TARGET backplane_flags)
    target_link_libraries(${target} PRIVATE backplane_flags)
  endif()
  set_target_properties(${target} PROPERTIES
    PREFIX "lib" OUTPUT_NAME backplane_${name}
    LIBRARY_OUTPUT_DIRECTORY ${arg_OUTPUT_DIR}
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    # Not the build tree's own run path: CMake pads that with ':', which the loader rightly refuses.
    INSTALL_RPATH "$ORIGIN" BUILD_WITH_INSTALL_RPATH ON LINK_DEPENDS ${BACKPLANE_PLUGIN_MAP})
  target_link_options(${target} PRIVATE -Wl,--version-script=${BACKPLANE_PLUGIN_MAP}
    -Wl,-Bsymbolic-functions -Wl,-z,now -Wl,--exclude-libs,ALL)
  if(NOT arg_NO_INSTALL)
    if(NOT BACKPLANE_PLUGIN_INSTALL_DIR)
      include(GNUInstallDirs)
      set(BACKPLANE_PLUGIN_INSTALL_DIR ${CMAKE_INSTALL_LIBDIR}/backplane/plugins)
    endif()
    install(TARGETS ${target} LIBRARY DESTINATION ${BACKPLANE_PLUGIN_INSTALL_DIR} COMPONENT runtime)
  endif()
endfunction()
