# What only our own builds want; a project that adds framecall as a subdirectory keeps its own settings.

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

# Most of the time of a compilation goes into headers that all files share: several files at once take a third of it.
# Whoever works on one file for long may prefer -DCMAKE_UNITY_BUILD=OFF.
option(CMAKE_UNITY_BUILD "Compile several files at once" ON)
if(CMAKE_UNITY_BUILD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND NOT FRAMECALL_SANITIZE)
  # g++ inlines less in a long file, by default: a sixth of all instructions of a call. Where it inlines more, g++ 12 sees
  # overlapping strings that there are not (first where a message is put together in conversation.cpp).
  set(fast_library --param=large-unit-insns=1000000 -Wno-restrict)
endif()

# Tests take longer to compile than to run.
set(for_tests -O0)

set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)

if(FRAMECALL_SANITIZE)
  add_compile_options(-fsanitize=${FRAMECALL_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${FRAMECALL_SANITIZE})
  # For programs around the library: its code is what is looked at, and theirs compiles in half the time.
  set(around_library -O0 -fno-sanitize=undefined)
  set(for_tests ${around_library})
  if(FRAMECALL_SANITIZE MATCHES "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-tsan)  # Asio uses fences, which ThreadSanitizer does not model
  endif()
endif()

# With a base directory and no hash of the working directory, clones of the repository share what they compile; and with
# whatever language the compiler would complain in.
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
    CCACHE_SLOPPINESS=locale ${CCACHE_PROGRAM})
endif()
