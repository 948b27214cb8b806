# Installs the runtime into a fresh folder and builds a C++ and a C consumer with find_package(elrt).
# Run with -DBUILD_DIR=... -DWORK_DIR=... -DCXX=...
file(REMOVE_RECURSE ${WORK_DIR})
file(MAKE_DIRECTORY ${WORK_DIR}/consumer)
file(WRITE ${WORK_DIR}/consumer/CMakeLists.txt [[
cmake_minimum_required(VERSION 3.25)
project(consumer C CXX)
find_package(elrt 0.2 REQUIRED)
add_executable(consumer main.cpp pure.c)
target_link_libraries(consumer PRIVATE elrt::elrt)
target_compile_options(consumer PRIVATE -Wall -Wextra -Werror)
if(SANITIZE)
  target_link_options(consumer PRIVATE -fsanitize=${SANITIZE})
endif()
]])
file(WRITE ${WORK_DIR}/consumer/main.cpp [[
#include <elrt/elrt.hpp>
extern "C" int opens_nothing(void);
int main() { return elrt::Artifact::open("/nonexistent").ok() || opens_nothing() ? 1 : 0; }
]])
file(WRITE ${WORK_DIR}/consumer/pure.c [[
#include <elrt/elrt.h>
int opens_nothing(void);
int opens_nothing(void) {
  elrt_engine* engine = 0;
  return elrt_engine_open("/nonexistent", &engine) == ELRT_OK;
}
]])
foreach(step IN ITEMS "--install;${BUILD_DIR}/runtime;--prefix;${WORK_DIR}/prefix"
                      "-S;${WORK_DIR}/consumer;-B;${WORK_DIR}/build;-DCMAKE_PREFIX_PATH=${WORK_DIR}/prefix;-DCMAKE_CXX_COMPILER=${CXX};-DSANITIZE=${SANITIZE}"
                      "--build;${WORK_DIR}/build")
  execute_process(COMMAND ${CMAKE_COMMAND} ${step} RESULT_VARIABLE failed OUTPUT_VARIABLE log ERROR_VARIABLE log)
  if(failed)
    message(FATAL_ERROR "cmake ${step} failed:\n${log}")
  endif()
endforeach()
execute_process(COMMAND ${WORK_DIR}/build/consumer RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "the consumer failed: ${failed}")
endif()
