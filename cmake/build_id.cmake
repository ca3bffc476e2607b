# SPDX-License-Identifier: Apache-2.0
# cmake -DOUTPUT=... -DNAME=... -DSALT=... "-DOWN=a;b" "-DFILES=c;d" -P build_id.cmake: a header that defines NAME_OWN_ID as a
# text which changes whenever one of OWN does, and NAME_BUILD_ID for OWN and FILES.
function(hash_files out salt)
  set(hashes "${salt}")
  foreach(file ${ARGN})
    file(SHA1 ${file} hash)
    string(APPEND hashes ${hash})
  endforeach()
  string(SHA1 id "${hashes}")
  string(SUBSTRING ${id} 0 16 id)
  set(${out} ${id} PARENT_SCOPE)
endfunction()
hash_files(own "${SALT}" ${OWN})
hash_files(all ${own} ${FILES})
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "#define ${NAME}_OWN_ID \"${own}\"\n#define ${NAME}_BUILD_ID \"${all}\"\n")
