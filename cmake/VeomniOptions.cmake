# Compiler settings that every target of ours shares.
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1 -DNDEBUG")
if(VEOMNI_SANITIZE)   # -O2 doubles the compile time of instrumented code; the CPU kernels ask for -O3 anyway
  set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1 -DNDEBUG")
endif()
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g1")

find_program(CCACHE ccache)
if(CCACHE)
  # GCC's precompiled headers need these two allowances; objects are shared between clones.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_DIR=${VEOMNI_DEPS}/ccache CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CCACHE})
endif()

add_library(veomni_options INTERFACE)
target_include_directories(veomni_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(veomni_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wno-maybe-uninitialized -fpch-preprocess>)
if(VEOMNI_WERROR)
  target_compile_options(veomni_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
endif()
if(VEOMNI_SANITIZE)
  target_compile_options(veomni_options INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${VEOMNI_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=undefined>)
  target_link_options(veomni_options INTERFACE -fsanitize=${VEOMNI_SANITIZE})
endif()

# Linked into the programs that start MPI: leak reports of sanitizer builds then name Open MPI's components.
add_library(veomni_leak_names INTERFACE)
if(VEOMNI_SANITIZE)
  target_sources(veomni_leak_names INTERFACE ${CMAKE_SOURCE_DIR}/test/support/keep_loaded.cpp)
endif()
