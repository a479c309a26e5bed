# Installs the library's component into a fresh folder and checks what lies there: the public headers and no others.
file(REMOVE_RECURSE ${PREFIX})
execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${PREFIX} --component library
                OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
file(GLOB_RECURSE headers RELATIVE ${PREFIX} ${PREFIX}/include/*)
list(SORT headers)
set(expected include/dunlin/dunlin.h include/dunlin/dunlin.hpp include/dunlin/dunlin_vulkan.h
             include/dunlin/dunlin_vulkan.hpp)
if(NOT headers STREQUAL expected)
  message(FATAL_ERROR "installed headers: ${headers}\nexpected: ${expected}")
endif()
file(GLOB_RECURSE internal ${PREFIX}/*dunlin_internal*)
if(internal)
  message(FATAL_ERROR "installed although internal: ${internal}")
endif()
