# Installs the SDK into an empty prefix and builds its examples against that, as a stranger would:
# with the CMake package, and one of them by hand with the flags of pkg-config.
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
foreach(file IN ITEMS include/parley/plugin.h include/parley/plugin.hpp include/parley/json.hpp
                      share/parley/schemas/parley.manifest.1.json)
  if(NOT EXISTS ${prefix}/${file})
    message(FATAL_ERROR "the installed SDK lacks ${file}")
  endif()
endforeach()

set(library_c c_clock)
set(library_cpp weather)
foreach(example IN ITEMS c cpp)
  set(source ${prefix}/share/parley/examples/${example}_skill)
  run(${CMAKE_COMMAND} -G Ninja -S ${source} -B ${WORK}/${example} -DCMAKE_PREFIX_PATH=${prefix}
      -DCMAKE_C_COMPILER=${C} -DCMAKE_CXX_COMPILER=${CXX})
  run(${CMAKE_COMMAND} --build ${WORK}/${example})
  if(PYTHON)
    run(${PYTHON} ${CHECK} ${WORK}/${example}/${library_${example}}.so)
  endif()
endforeach()

find_program(PKG_CONFIG pkg-config)
file(GLOB_RECURSE package ${prefix}/*/parley-sdk.pc)
if(PKG_CONFIG AND package)
  cmake_path(GET package PARENT_PATH folder)
  set(ENV{PKG_CONFIG_PATH} ${folder})
  execute_process(COMMAND ${PKG_CONFIG} --cflags parley-sdk
                  OUTPUT_VARIABLE flags OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  separate_arguments(flags)
  run(${C} -std=c11 -Wall -Wextra -Werror -fsyntax-only ${flags} -DPARLEY_MANIFEST_SIZE=2
      ${prefix}/share/parley/examples/c_skill/c_clock.c)
  run(${CXX} -std=c++20 -Wall -Wextra -Werror -fsyntax-only ${flags} -DPARLEY_MANIFEST_SIZE=2
      ${prefix}/share/parley/examples/cpp_skill/weather.cpp)
endif()
