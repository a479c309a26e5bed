# dunlin_source_commit(target): the target's sources may include "source_commit.h", whose kSourceCommit names the commit
# that was built, with "-dirty" where files differ from it, and is empty outside a git checkout. Looked up at every
# build, and written only when it changes.
function(dunlin_source_commit target)
  find_package(Git QUIET)
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/source_commit)
  add_custom_target(${target}_commit
    COMMAND ${CMAKE_COMMAND} -DGIT=${GIT_EXECUTABLE} -DSOURCE=${PROJECT_SOURCE_DIR} -DHEADER=${folder}/source_commit.h
            -P ${PROJECT_SOURCE_DIR}/cmake/write_source_commit.cmake
    BYPRODUCTS ${folder}/source_commit.h
    COMMENT "Source commit"
    VERBATIM)
  add_dependencies(${target} ${target}_commit)
  target_include_directories(${target} PRIVATE ${folder})
endfunction()
