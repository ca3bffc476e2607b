# SPDX-License-Identifier: Apache-2.0
# cmake -DOUTPUT=... -DFOLDER=... -DSALT=... -P build_id.cmake: a header whose text changes whenever kernels may.
file(GLOB sources ${FOLDER}/*.cpp ${FOLDER}/*.h ${FOLDER}/isa/*)
set(hashes "${SALT}")
foreach(source ${sources})
  file(SHA1 ${source} hash)
  string(APPEND hashes ${hash})
endforeach()
string(SHA1 id "${hashes}")
string(SUBSTRING ${id} 0 16 id)
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "#define BACKPLANE_CPU_BUILD_ID \"${id}\"\n")
