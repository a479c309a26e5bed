# cmake -DLIBRARY=... -DSTRIP=... -DSTRIPPED=... -DLIMIT=bytes -P check_size.cmake: how large the library is that
# applications ship.
execute_process(COMMAND ${STRIP} -o ${STRIPPED} ${LIBRARY} COMMAND_ERROR_IS_FATAL ANY)
file(SIZE ${STRIPPED} bytes)
if(bytes GREATER LIMIT)
  message(FATAL_ERROR "${LIBRARY}, stripped, has ${bytes} bytes, and the limit is ${LIMIT}")
endif()
message(STATUS "${bytes} bytes of ${LIMIT}")
