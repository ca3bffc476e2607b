# SPDX-License-Identifier: Apache-2.0
# cmake -DOUTPUT=... -DNAME=... -DSALT=... "-DFILES=a;b" -P build_id.cmake: a header that defines NAME as a text which
# changes whenever one of the files does.
set(hashes "${SALT}")
foreach(file ${FILES})
  file(SHA1 ${file} hash)
  string(APPEND hashes ${hash})
endforeach()
string(SHA1 id "${hashes}")
string(SUBSTRING ${id} 0 16 id)
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "#define ${NAME} \"${id}\"\n")
