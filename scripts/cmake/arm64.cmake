# Cross-compiles for 64-bit ARM with Debian's compiler against the libraries that `scripts/setup arm64` unpacked, and runs tests in QEMU.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

get_filename_component(ELASTIFY_ARM64_ROOT ${CMAKE_CURRENT_LIST_DIR}/../../build/arm64-root ABSOLUTE)
set(CMAKE_FIND_ROOT_PATH ${ELASTIFY_ARM64_ROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
foreach(kind LIBRARY INCLUDE PACKAGE)
  set(CMAKE_FIND_ROOT_PATH_MODE_${kind} ONLY)
endforeach()
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${ELASTIFY_ARM64_ROOT})
set(ENV{PKG_CONFIG_LIBDIR} ${ELASTIFY_ARM64_ROOT}/usr/lib/aarch64-linux-gnu/pkgconfig)
# Headers without a package of their own.
set(CMAKE_CXX_STANDARD_INCLUDE_DIRECTORIES ${ELASTIFY_ARM64_ROOT}/usr/include)

set(CMAKE_CROSSCOMPILING_EMULATOR "qemu-aarch64;-L;/usr/aarch64-linux-gnu")
