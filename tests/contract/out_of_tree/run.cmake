# Installs the SDK into an empty prefix; then, with nothing but what is installed, makes a plugin of
# each language and role by `parley plugin new`, and types the commands that it names: the last one
# holds what was made against the contract. One is built by cargo too, and the headers by hand with pkg-config's flags.
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(status)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}\n${out}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
set(prefix ${WORK}/prefix)
run(${CMAKE_COMMAND} --install ${BUILD} --component sdk --prefix ${prefix})
foreach(file IN ITEMS include/parley/plugin.h include/parley/plugin.hpp include/parley/json.h
                      include/parley/json.hpp share/parley/schemas/parley.manifest.1.json
                      share/parley/rust/parley.rs share/doc/AgentParley/sdk/README.md
                      share/doc/AgentParley/sdk/REFERENCE.md)
  if(NOT EXISTS ${prefix}/${file})
    message(FATAL_ERROR "the installed SDK lacks ${file}")
  endif()
endforeach()

set(templates ${prefix}/share/parley/templates)
set(ENV{PARLEY_TEMPLATES} ${templates})
set(ENV{PARLEY_HOME} ${WORK}/no_home)
set(ENV{CMAKE_GENERATOR} Ninja)
set(ENV{CC} ${C})
set(ENV{CXX} ${CXX})
cmake_path(GET PARLEY PARENT_PATH programs)
cmake_path(GET RUSTC PARENT_PATH rust)
set(ENV{PATH} "${programs}:${rust}:$ENV{PATH}")

file(GLOB sources RELATIVE ${templates} ${templates}/*/*/plugin.*)
list(FILTER sources EXCLUDE REGEX "^roles/")
list(LENGTH sources count)
if(count LESS 7)
  message(FATAL_ERROR "only ${count} templates are installed")
endif()
foreach(source IN LISTS sources)
  string(REGEX REPLACE "^([^/]*)/([^/]*)/.*" "\\1;\\2" parts ${source})
  list(POP_FRONT parts language role)
  set(folder ${WORK}/${language}_${role})
  execute_process(COMMAND parley plugin new ${language} ${folder} --role ${role}
                    --id org.stranger.${language} --json
                  OUTPUT_VARIABLE made COMMAND_ERROR_IS_FATAL ANY)
  foreach(step IN ITEMS 0 1 2)
    string(JSON command GET "${made}" next ${step})
    run(sh -ec "${command}")
  endforeach()
  file(READ ${folder}/plugin.json manifest)
  if(manifest MATCHES "org.example.name|plugin_name")
    message(FATAL_ERROR "${folder} still has a placeholder")
  endif()
endforeach()

run(${CMAKE_COMMAND} -E env CARGO_HOME=${WORK}/cargo RUSTC=${RUSTC}
    ${CARGO} build --release --offline --manifest-path ${WORK}/rust_skill/Cargo.toml)
run(parley plugin check ${WORK}/rust_skill/target/release/libskill_rust.so)

find_program(PKG_CONFIG pkg-config REQUIRED)
file(GLOB_RECURSE package ${prefix}/*/parley-sdk.pc)
cmake_path(GET package PARENT_PATH folder)
set(ENV{PKG_CONFIG_PATH} ${folder})
execute_process(COMMAND ${PKG_CONFIG} --cflags parley-sdk
                OUTPUT_VARIABLE flags OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
separate_arguments(flags)
set(strict -Wall -Wextra -Wpedantic -Werror -fsyntax-only -DPARLEY_MANIFEST_SIZE=2)
run(${C} -std=c11 ${strict} ${flags} ${templates}/c/skill/plugin.c)
run(${CXX} -std=c++20 ${strict} ${flags} ${templates}/cpp/channel/plugin.cpp)
