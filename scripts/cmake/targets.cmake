# What every target of ours shares: the language level, warnings, and sanitizers where asked for.
add_library(elastify_options INTERFACE)
target_compile_features(elastify_options INTERFACE cxx_std_20)
if(ELASTIFY_DEVELOPER_MODE)
  target_compile_options(elastify_options INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wimplicit-fallthrough -Werror)
  if(ELASTIFY_SANITIZE)  # gcc 12 warns falsely about instrumented code
    target_compile_options(elastify_options INTERFACE -Wno-restrict -Wno-maybe-uninitialized)
  endif()
endif()
if(ELASTIFY_SANITIZE)
  target_compile_options(elastify_options INTERFACE -fsanitize=${ELASTIFY_SANITIZE} -fno-omit-frame-pointer
                                                    -fno-sanitize-recover=all)
  target_link_options(elastify_options INTERFACE -fsanitize=${ELASTIFY_SANITIZE})
endif()

# Lets TARGET reuse the parsed torch/torch.h of elastify_model. A precompiled header needs equal code generation, and
# programs would be compiled as -fPIE, libraries as -fPIC.
function(elastify_torch_headers TARGET)
  get_target_property(kind ${TARGET} TYPE)
  if(kind STREQUAL EXECUTABLE)
    set_target_properties(${TARGET} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(${TARGET} PRIVATE -fPIC)
  endif()
  target_precompile_headers(${TARGET} REUSE_FROM elastify_model)
endfunction()
