# Fails when a room includes what host/plan.cmake does not grant it.  -DHOST=<folder of the rooms>
cmake_minimum_required(VERSION 3.25)

set(DOORS_KEPT rocksdb boost/asio boost/beast boost/dll boost/json boost/system sodium yaml-cpp
    spdlog curl openssl CLI seccomp)
# Forward declarations cost nothing and open nothing.
set(OPEN_TO_ALL boost/json/fwd.hpp boost/assert)

function(room name)
  cmake_parse_arguments(ROOM "" "" "USES;DOORS;LINKS" ${ARGN})
  # Headers of base speak JSON to every room.
  list(APPEND ROOM_DOORS boost/json)
  file(GLOB_RECURSE files ${HOST}/${name}/*.hpp ${HOST}/${name}/*.cpp)
  foreach(file IN LISTS files)
    file(STRINGS ${file} includes REGEX "^#include ")
    foreach(line IN LISTS includes)
      if(line MATCHES "\"([a-z_]+)/")
        set(other ${CMAKE_MATCH_1})
        if(NOT other STREQUAL name AND NOT other IN_LIST ROOM_USES AND NOT other STREQUAL "parley")
          message(SEND_ERROR "${file}: room '${name}' may not include ${other}/: ${line}")
        endif()
      elseif(line MATCHES "<([^>]+)>")
        set(header ${CMAKE_MATCH_1})
        foreach(door IN LISTS DOORS_KEPT)
          if(header MATCHES "^${door}[/.]" AND NOT door IN_LIST ROOM_DOORS)
            message(SEND_ERROR "${file}: room '${name}' holds no key to ${door}: ${line}")
          endif()
        endforeach()
      endif()
    endforeach()
  endforeach()
endfunction()

include(${HOST}/plan.cmake)
