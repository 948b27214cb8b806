# Installs the runtime into a fresh folder and builds programs against it as strangers do: C++ and C with
# find_package(elrt), a project of C alone, and both languages by pkg-config. Then removes it again.
# Run with -DBUILD_DIR=... -DWORK_DIR=... -DCC=... -DCXX=... -DCXX_FLAGS=... -DSANITIZE=... -DUNINSTALL=...
cmake_minimum_required(VERSION 3.25)
file(REMOVE_RECURSE ${WORK_DIR})
set(prefix ${WORK_DIR}/prefix)
set(flags "")
if(SANITIZE)
  set(flags -fsanitize=${SANITIZE})
endif()
separate_arguments(cxx_flags UNIX_COMMAND "${CXX_FLAGS}")

function(run WHAT)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE failed OUTPUT_VARIABLE log ERROR_VARIABLE log)
  if(failed)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${WHAT}: ${command} failed (${failed}):\n${log}")
  endif()
endfunction()

# The programs end with 0 where the library answers as it should.
file(WRITE ${WORK_DIR}/both/main.cpp [[
#include <elrt/elrt.hpp>
extern "C" int opens_nothing(void);
int main() { return elrt::Artifact::open("/nonexistent").ok() || opens_nothing() ? 1 : 0; }
]])
file(WRITE ${WORK_DIR}/both/part.c [[
#include <elrt/elrt.h>
int opens_nothing(void);
int opens_nothing(void) {
  elrt_engine* engine = 0;
  return elrt_engine_open("/nonexistent", &engine) == ELRT_OK;
}
]])
file(WRITE ${WORK_DIR}/c/main.c [[
#include <elrt/elrt.h>
int main(void) {
  elrt_engine* engine = 0;
  elrt_session_options options;
  ELRT_INIT(&options);
  if (options.struct_size != sizeof options || elrt_version_number() != ELRT_VERSION_NUMBER) return 1;
  if (strcmp(elrt_version(), ELRT_VERSION) != 0 || elrt_api_version() != ELRT_API_VERSION) return 2;
  return elrt_engine_open("/nonexistent", &engine) == ELRT_BAD_DATA && elrt_last_error()[0] != 0 ? 0 : 3;
}
]])
set(lists [[
cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES @languages@)
find_package(elrt 0.2 REQUIRED)
add_executable(consumer @sources@)
target_link_libraries(consumer PRIVATE elrt::elrt)
target_compile_options(consumer PRIVATE -Wall -Wextra -Wmissing-prototypes -Werror)
if(SANITIZE)
  target_link_options(consumer PRIVATE -fsanitize=${SANITIZE})
endif()
]])
set(languages "C CXX")
set(sources "main.cpp part.c")
string(CONFIGURE "${lists}" text @ONLY)
string(REPLACE " -Wmissing-prototypes" "" text "${text}")
file(WRITE ${WORK_DIR}/both/CMakeLists.txt "${text}")
set(languages C)
set(sources main.c)
string(CONFIGURE "${lists}" text @ONLY)
file(WRITE ${WORK_DIR}/c/CMakeLists.txt "${text}")

foreach(component runtime dev)
  run("installing" ${CMAKE_COMMAND} --install ${BUILD_DIR} --prefix ${prefix} --component ${component})
endforeach()
foreach(file bin/elastic-run include/elrt/elrt.h share/doc/elrt/copyright share/doc/elrt/LICENSE share/doc/elrt/README.md)
  if(NOT EXISTS ${prefix}/${file})
    message(FATAL_ERROR "${file} was not installed")
  endif()
endforeach()
run("the installed program" ${prefix}/bin/elastic-run --help)

foreach(consumer both c)
  run("a consumer by CMake" ${CMAKE_COMMAND} -S ${WORK_DIR}/${consumer} -B ${WORK_DIR}/${consumer}/build
      -DCMAKE_PREFIX_PATH=${prefix} -DCMAKE_C_COMPILER=${CC} -DCMAKE_CXX_COMPILER=${CXX} -DCMAKE_CXX_FLAGS=${CXX_FLAGS}
      -DSANITIZE=${SANITIZE})
  run("a consumer by CMake" ${CMAKE_COMMAND} --build ${WORK_DIR}/${consumer}/build)
  run("a consumer by CMake" ${WORK_DIR}/${consumer}/build/consumer)
endforeach()

file(GLOB_RECURSE pc ${prefix}/elrt.pc)
cmake_path(GET pc PARENT_PATH pc)
cmake_path(GET pc PARENT_PATH libraries)
set(ENV{PKG_CONFIG_PATH} ${pc})
set(ENV{LD_LIBRARY_PATH} ${libraries})
execute_process(COMMAND pkg-config --cflags --libs elrt OUTPUT_VARIABLE linking COMMAND_ERROR_IS_FATAL ANY
                OUTPUT_STRIP_TRAILING_WHITESPACE)
separate_arguments(linking UNIX_COMMAND "${linking}")
run("a C consumer by pkg-config" ${CC} -Wall -Wextra -Werror ${flags} ${WORK_DIR}/c/main.c -o ${WORK_DIR}/c/by_hand ${linking})
run("a C consumer by pkg-config" ${WORK_DIR}/c/by_hand)
run("a C++ consumer by pkg-config" ${CC} -c ${WORK_DIR}/both/part.c -o ${WORK_DIR}/both/part.o -I${prefix}/include)
run("a C++ consumer by pkg-config" ${CXX} ${cxx_flags} -std=c++20 -Wall -Wextra -Werror ${flags} ${WORK_DIR}/both/main.cpp
    ${WORK_DIR}/both/part.o -o ${WORK_DIR}/both/by_hand ${linking})
run("a C++ consumer by pkg-config" ${WORK_DIR}/both/by_hand)

run("uninstalling" ${CMAKE_COMMAND} -DBUILD_DIR=${BUILD_DIR} -P ${UNINSTALL})
file(GLOB_RECURSE left ${prefix}/*)
if(left)
  message(FATAL_ERROR "uninstalling left ${left}")
endif()
if(EXISTS ${prefix}/include/elrt)
  message(FATAL_ERROR "uninstalling left the folder include/elrt")
endif()
