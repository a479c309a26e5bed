# dunlin_embed_models(target folder): puts the models in `folder` (one folder each, with config.json and
# model.safetensors) into the read-only data of `target`, and defines shippedModels() of tools/dunlin/shipped.h there.
# The caller must have enabled the language ASM: the assembler copies the files (.incbin); a compiler would take minutes and
# gigabytes for megabytes of numbers.
function(dunlin_embed_models target folder)
  set(assembly "")
  set(declarations "")
  set(rows "")
  set(files "")
  file(GLOB configs CONFIGURE_DEPENDS ${folder}/*/config.json)
  list(SORT configs)
  if(NOT DUNLIN_EMBED_MODELS)
    set(configs "")
  endif()
  foreach(config IN LISTS configs)
    get_filename_component(model ${config} DIRECTORY)
    get_filename_component(name ${model} NAME)
    if(NOT name MATCHES "^[a-z0-9_]+$")
      message(FATAL_ERROR "${model}: the name of a shipped model has small letters, digits and _ only")
    endif()
    foreach(part config weights)
      if(part STREQUAL "config")
        set(file ${model}/config.json)
      else()
        set(file ${model}/model.safetensors)
      endif()
      list(APPEND files ${file})
      set(symbol dunlin_shipped_${name}_${part})
      string(APPEND assembly
        "    .globl SYMBOL(${symbol})\n    HIDDEN SYMBOL(${symbol})\n    .balign 64\nSYMBOL(${symbol}):\n"
        "    .incbin \"${file}\"\n"
        "    .globl SYMBOL(${symbol}_end)\n    HIDDEN SYMBOL(${symbol}_end)\nSYMBOL(${symbol}_end):\n    .byte 0\n")
      string(APPEND declarations "extern \"C\" const std::byte ${symbol}[], ${symbol}_end[];\n")
    endforeach()
    set(symbol dunlin_shipped_${name})
    string(APPEND rows "    {\"${name}\", text(${symbol}_config, ${symbol}_config_end), "
                       "{${symbol}_weights, ${symbol}_weights_end}},\n")
  endforeach()

  set(generated ${CMAKE_CURRENT_BINARY_DIR}/shipped_models)
  list(LENGTH configs count)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/shipped_models.cpp.in ${generated}.cpp @ONLY)
  target_sources(${target} PRIVATE ${generated}.cpp)
  if(count GREATER 0)
    configure_file(${PROJECT_SOURCE_DIR}/cmake/shipped_models.S.in ${generated}.S @ONLY)
    set_source_files_properties(${generated}.S PROPERTIES OBJECT_DEPENDS "${files}")
    target_sources(${target} PRIVATE ${generated}.S)
  endif()
endfunction()
