# dunlin_embed_texts(target header function file...): generates a source in `target` that defines `function` of `header`,
# std::span<const dunlin::EmbeddedText>, with the content of the files, which hold printable ASCII only. Portable: string
# literals, in pieces as short as every compiler takes them.
function(dunlin_embed_texts target header function)
  set(generated ${CMAKE_CURRENT_BINARY_DIR}/${function}.cpp)
  set(script ${PROJECT_SOURCE_DIR}/cmake/write_embedded_texts.cmake)
  string(REPLACE ";" "|" files "${ARGN}")
  add_custom_command(OUTPUT ${generated}
    COMMAND ${CMAKE_COMMAND} -DHEADER=${header} -DFUNCTION=${function} -DFILES=${files} -DOUTPUT=${generated} -P ${script}
    DEPENDS ${ARGN} ${script}
    COMMENT "Embedding texts of ${function}"
    VERBATIM)
  target_sources(${target} PRIVATE ${generated})
endfunction()
