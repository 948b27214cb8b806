# elastify_test(NAME SOURCES ... LIBRARIES ... [LABELS ...]): one Catch2 program, one CTest test.
# A program that exits with 77 has skipped and says why. Tests that use the sample checkpoints find them through
# ELASTIFY_SHARED (a folder with models/ and data/); where that folder is missing they skip.
find_package(Threads REQUIRED)
set(ELASTIFY_SHARED "${CMAKE_SOURCE_DIR}/../shared" CACHE PATH "Sample checkpoints and data for tests, optional")

add_library(elastify_test_main STATIC ${CMAKE_SOURCE_DIR}/tests/support/main.cpp)
target_link_libraries(elastify_test_main PUBLIC Catch2::Catch2 elastify_options Threads::Threads)
target_include_directories(elastify_test_main PUBLIC ${CMAKE_SOURCE_DIR}/tests)
target_compile_definitions(elastify_test_main PUBLIC
  ELASTIFY_SHARED_DIR="${ELASTIFY_SHARED}" ELASTIFY_SOURCE_DIR="${CMAKE_SOURCE_DIR}" ELASTIFY_BIN_DIR="${CMAKE_BINARY_DIR}/bin")

# Files are compiled one by one: LibTorch and Catch2 both have a CHECK, and the one included last in a file has to be Catch2's.
function(elastify_test NAME)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBRARIES;LABELS" ${ARGN})
  add_executable(${NAME} ${ARG_SOURCES})
  target_link_libraries(${NAME} PRIVATE elastify_test_main ${ARG_LIBRARIES})
  set_target_properties(${NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests UNITY_BUILD OFF)
  add_test(NAME ${NAME} COMMAND ${NAME})
  set_tests_properties(${NAME} PROPERTIES SKIP_RETURN_CODE 77 LABELS "${ARG_LABELS}" TIMEOUT 900)
endfunction()
