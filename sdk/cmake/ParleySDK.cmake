# parley_add_plugin(NAME MANIFEST plugin.json SOURCES files… [LIBRARIES targets…])
#
# Makes NAME.so, a plugin of AgentParley: it exports parley_plugin_v1 and nothing else, carries the
# manifest in an ELF note, and names the size of it for PARLEY_PLUGIN. Libraries beyond libc, libm,
# libstdc++ and libgcc_s must be static; their symbols stay inside. The file works in the tree of
# AgentParley and from an installed SDK alike. When the first source ends in .rs it is the root of a
# crate, and the plugin is made by rustc alone: see share/parley/rust/parley.rs.
include_guard(GLOBAL)

# rustc makes the version script itself, and `plugin!` of parley.rs the note.
function(_parley_add_rust_plugin name manifest private sources)
  find_program(PARLEY_RUSTC rustc REQUIRED)
  list(TRANSFORM sources PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/ REGEX "^[^/]")
  list(GET sources 0 root)
  set(crate ${CMAKE_CURRENT_BINARY_DIR}/${name}.parley/libparley.rlib)
  set(file ${CMAKE_CURRENT_BINARY_DIR}/${name}.so)
  if(TARGET parley_sdk AND NOT private)
    set(file ${CMAKE_BINARY_DIR}/plugins/${name}.so)
  endif()
  file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/${name}.parley)
  set(rustc ${PARLEY_RUSTC} --edition 2021 -C opt-level=2 -C strip=debuginfo)
  add_custom_command(OUTPUT ${crate}
    COMMAND ${rustc} --crate-type rlib --crate-name parley -o ${crate} ${ParleySDK_RUST}/parley.rs
    DEPENDS ${ParleySDK_RUST}/parley.rs VERBATIM COMMENT "Building the crate parley for ${name}")
  add_custom_command(OUTPUT ${file}
    COMMAND ${rustc} --crate-type cdylib --crate-name ${name} --extern parley=${crate} -o ${file} ${root}
    DEPENDS ${sources} ${manifest} ${crate} VERBATIM COMMENT "Building the plugin ${name}")
  add_custom_target(${name} ALL DEPENDS ${file})
endfunction()

function(parley_add_plugin name)
  cmake_parse_arguments(PLUGIN "PRIVATE" "MANIFEST" "SOURCES;LIBRARIES" ${ARGN})
  if(NOT PLUGIN_MANIFEST OR NOT PLUGIN_SOURCES OR PLUGIN_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "parley_add_plugin(${name} MANIFEST file SOURCES files… [LIBRARIES targets…])")
  endif()

  # The manifest goes into the note byte for byte, without the blank lines around it.
  cmake_path(ABSOLUTE_PATH PLUGIN_MANIFEST BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} NORMALIZE)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PLUGIN_MANIFEST})
  if(PLUGIN_SOURCES MATCHES "^[^;]*\\.rs(;|$)")
    _parley_add_rust_plugin(${name} ${PLUGIN_MANIFEST} ${PLUGIN_PRIVATE} "${PLUGIN_SOURCES}")
    return()
  endif()
  file(READ ${PLUGIN_MANIFEST} text)
  string(STRIP "${text}" text)
  string(JSON id ERROR_VARIABLE problem GET "${text}" id)
  if(problem)
    message(FATAL_ERROR "${PLUGIN_MANIFEST}: ${problem}")
  endif()
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/${name}.parley)
  set(manifest ${folder}/manifest.json)
  set(before "")
  if(EXISTS ${manifest})
    file(READ ${manifest} before)
  endif()
  if(NOT before STREQUAL text)
    file(WRITE ${manifest} "${text}")
  endif()
  file(SIZE ${manifest} size)
  if(size GREATER 65536)
    message(FATAL_ERROR "${PLUGIN_MANIFEST} is larger than 64 KiB")
  endif()

  get_property(languages GLOBAL PROPERTY ENABLED_LANGUAGES)
  set(extension c)
  if(NOT "C" IN_LIST languages)
    set(extension cpp)
  endif()
  set(note ${folder}/note.${extension})
  configure_file(${CMAKE_CURRENT_FUNCTION_LIST_DIR}/note.c.in ${note} @ONLY)
  set_source_files_properties(${note} PROPERTIES OBJECT_DEPENDS ${manifest})

  set(exports ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/exports.map)
  add_library(${name} MODULE ${PLUGIN_SOURCES} ${note})
  target_link_libraries(${name} PRIVATE Parley::sdk ${PLUGIN_LIBRARIES})
  if("CXX" IN_LIST languages)
    target_compile_features(${name} PRIVATE cxx_std_20)
  endif()
  target_compile_definitions(${name} PRIVATE PARLEY_MANIFEST_SIZE=${size})
  target_compile_options(${name} PRIVATE
    $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:GNU>>:-fno-gnu-unique>)
  set_target_properties(${name} PROPERTIES
    PREFIX "" SUFFIX ".so" NO_SONAME ON
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    POSITION_INDEPENDENT_CODE ON SKIP_BUILD_RPATH ON LINK_DEPENDS ${exports})
  target_link_options(${name} PRIVATE
    -Wl,--version-script=${exports} -Wl,--exclude-libs,ALL
    -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,--as-needed)
  # Sanitizers leave symbols open that the program brings.
  if(NOT "${CMAKE_C_FLAGS} ${CMAKE_C_FLAGS_DEBUG} ${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_DEBUG}" MATCHES "-fsanitize")
    target_link_options(${name} PRIVATE -Wl,--no-undefined)
  endif()

  # Our own plugins are gathered in one folder and installed, but for PRIVATE ones, which are for
  # tests. A stranger's project decides itself.
  if(TARGET parley_sdk)
    target_link_libraries(${name} PRIVATE parley_warnings)
  endif()
  if(TARGET parley_sdk AND NOT PLUGIN_PRIVATE)
    set_target_properties(${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/plugins)
    install(TARGETS ${name} LIBRARY DESTINATION lib/parley/plugins COMPONENT plugins)
    set_property(GLOBAL APPEND PROPERTY PARLEY_PLUGINS ${name})
  endif()
endfunction()
