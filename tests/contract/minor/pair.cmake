# Runs HOST with PLUGIN, and holds what it prints against SAYS, whole; "dies" is an end by the guard page.
execute_process(COMMAND ${HOST} ${PLUGIN} RESULT_VARIABLE status OUTPUT_VARIABLE out ERROR_VARIABLE err)
if(SAYS STREQUAL "dies")
  if(NOT status STREQUAL "Segmentation fault" AND NOT err MATCHES "(Address|Thread)Sanitizer: ?SEGV")
    message(FATAL_ERROR "it lives, status ${status}\n${err}${out}")
  endif()
elseif(NOT status EQUAL 0 OR NOT out STREQUAL SAYS)
  message(FATAL_ERROR "status ${status}, where 0 is to be\n${err}\n--- said:\n${out}--- is to say:\n${SAYS}")
endif()
