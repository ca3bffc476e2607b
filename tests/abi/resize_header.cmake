# SPDX-License-Identifier: Apache-2.0
# Writes a plugin.h as a later or an earlier minor could have it:
#   cmake -DIN=plugin.h -DOUT=<file> -DMODE=larger|smaller -P resize_header.cmake
# larger: every [extensible] struct and table gets two more members, and the minor is 2.
# smaller: optional members at the end of some structs and tables are missing.
file(READ ${IN} text)

if(MODE STREQUAL "larger")
  string(REGEX MATCHALL "typedef struct [a-z_]+ *{ */\\* *\\[extensible\\]" heads "${text}")
  list(LENGTH heads count)
  if(count LESS 20)
    message(FATAL_ERROR "found only ${count} extensible structs in ${IN}")
  endif()
  foreach(head ${heads})
    string(REGEX REPLACE "typedef struct ([a-z_]+).*" "\\1" name "${head}")
    string(REPLACE "} ${name};" "  uint64_t appended_first;\n  void (*appended_call)(void);\n} ${name};" text "${text}")
  endforeach()
  string(REPLACE "#define BP_ABI_MINOR 1u" "#define BP_ABI_MINOR 2u" text "${text}")
else()
  foreach(member "uint32_t compute_units;" "uint32_t max_queues;" "double prior;" "uint64_t code_hash;" "void (*device_event)(void* context"
                 "bp_status (*usage)(bp_device* device")
    string(FIND "${text}" "  ${member}" at)
    if(at EQUAL -1)
      message(FATAL_ERROR "${IN} has no '${member}'")
    endif()
    string(SUBSTRING "${text}" 0 ${at} before)
    string(SUBSTRING "${text}" ${at} -1 rest)
    string(FIND "${rest}" ";" end)
    # Up to the end of the declaration: its parameters have commas, its comment may go on behind it.
    string(FIND "${rest}" "\n" line)
    if(end LESS line)
      set(end ${line})
    endif()
    string(SUBSTRING "${rest}" ${end} -1 rest)
    string(CONCAT text "${before}" "${rest}")
  endforeach()
endif()
file(WRITE ${OUT} "${text}")
