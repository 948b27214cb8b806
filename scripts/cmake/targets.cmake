# What every target of ours shares: the language level, warnings, and sanitizers where asked for.
add_library(elastify_options INTERFACE)
target_compile_features(elastify_options INTERFACE cxx_std_20)
if(ELASTIFY_DEVELOPER_MODE)
  target_compile_options(elastify_options INTERFACE -Wall -Wextra -Wshadow $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor> -Wimplicit-fallthrough -Werror)
  if(ELASTIFY_SANITIZE)  # gcc 12 warns falsely about instrumented code
    target_compile_options(elastify_options INTERFACE -Wno-restrict -Wno-maybe-uninitialized)
  endif()
endif()
if(ELASTIFY_SANITIZE)
  target_compile_options(elastify_options INTERFACE -fsanitize=${ELASTIFY_SANITIZE} -fno-omit-frame-pointer
                                                    -fno-sanitize-recover=all)
  target_link_options(elastify_options INTERFACE -fsanitize=${ELASTIFY_SANITIZE})
endif()

# elastify_module(NAME SOURCES ... LIBRARIES ...): a static library elastify::NAME of one folder; headers are included from
# the folder above it.
function(elastify_module NAME)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBRARIES" ${ARGN})
  add_library(elastify_${NAME} STATIC ${ARG_SOURCES})
  add_library(elastify::${NAME} ALIAS elastify_${NAME})
  target_include_directories(elastify_${NAME} PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(elastify_${NAME} PUBLIC ${ARG_LIBRARIES} PRIVATE elastify_options)
  target_compile_features(elastify_${NAME} PUBLIC cxx_std_20)
endfunction()

# Lets TARGET reuse the parsed base/torch.h of elastify_checkpoint. A precompiled header needs equal code generation, and
# programs would be compiled as -fPIE, libraries as -fPIC.
function(elastify_torch_headers TARGET)
  get_target_property(kind ${TARGET} TYPE)
  if(kind STREQUAL EXECUTABLE)
    set_target_properties(${TARGET} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(${TARGET} PRIVATE -fPIC)
  endif()
  target_precompile_headers(${TARGET} REUSE_FROM elastify_checkpoint)
endfunction()

# Lets PROGRAM print its bash completion after it is linked, and installs that. Not where the program cannot run here.
include(GNUInstallDirs)
function(elastify_completion PROGRAM COMPONENT)
  if(CMAKE_CROSSCOMPILING)
    return()
  endif()
  set(folder ${CMAKE_BINARY_DIR}/completions)
  file(MAKE_DIRECTORY ${folder})
  add_custom_command(TARGET ${PROGRAM} POST_BUILD VERBATIM
                     COMMAND ${PROGRAM} --bash-completion > ${folder}/${PROGRAM})
  install(FILES ${folder}/${PROGRAM} DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/bash-completion/completions
          COMPONENT ${COMPONENT} OPTIONAL)
endfunction()
