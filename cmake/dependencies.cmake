# Every dependency: the system's package when there is one, else a pinned download. All but GoogleTest are headers
# only, so of a download just the headers are used, through a target that is named like the package's own.
# -DFETCHCONTENT_TRY_FIND_PACKAGE_MODE=NEVER ignores the system's packages.

include(FetchContent)
find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED COMPONENTS Crypto)

FetchContent_Declare(asio
  URL https://github.com/chriskohlhoff/asio/archive/refs/tags/asio-1-38-2.tar.gz
  URL_HASH SHA256=9f2648fa483e58a6bf848d970ee0ea650ca19ed7769dfa520ed4f7b8d27af1db
  DOWNLOAD_EXTRACT_TIMESTAMP ON SOURCE_SUBDIR headers-only FIND_PACKAGE_ARGS 1.22.1 QUIET)
FetchContent_Declare(nlohmann_json
  URL https://github.com/nlohmann/json/releases/download/v3.12.0/json.tar.xz
  URL_HASH SHA256=42f6e95cad6ec532fd372391373363b62a14af6d771056dbfc86160e6dfff7aa
  DOWNLOAD_EXTRACT_TIMESTAMP ON SOURCE_SUBDIR headers-only FIND_PACKAGE_ARGS 3.11 QUIET)
FetchContent_Declare(tomlplusplus
  URL https://github.com/marzer/tomlplusplus/archive/refs/tags/v3.4.0.tar.gz
  URL_HASH SHA256=8517f65938a4faae9ccf8ebb36631a38c1cadfb5efa85d9a72e15b9e97d25155
  DOWNLOAD_EXTRACT_TIMESTAMP ON SOURCE_SUBDIR headers-only FIND_PACKAGE_ARGS 3.3 QUIET)
FetchContent_Declare(cli11
  URL https://github.com/CLIUtils/CLI11/archive/refs/tags/v2.4.2.tar.gz
  URL_HASH SHA256=f2d893a65c3b1324c50d4e682c0cdc021dd0477ae2c048544f39eed6654b699a
  DOWNLOAD_EXTRACT_TIMESTAMP ON SOURCE_SUBDIR headers-only FIND_PACKAGE_ARGS 2.1 NAMES CLI11 QUIET)
FetchContent_Declare(spdlog
  URL https://github.com/gabime/spdlog/archive/refs/tags/v1.15.3.tar.gz
  URL_HASH SHA256=15a04e69c222eb6c01094b5c7ff8a249b36bb22788d72519646fb85feb267e67
  DOWNLOAD_EXTRACT_TIMESTAMP ON SOURCE_SUBDIR headers-only FIND_PACKAGE_ARGS 1.10 QUIET)
FetchContent_Declare(googletest
  URL https://github.com/google/googletest/releases/download/v1.17.0/googletest-1.17.0.tar.gz
  URL_HASH SHA256=65fab701d9829d38cb77c14acdc431d2108bfdbf8979e40eb8ae567edf10b27c
  DOWNLOAD_EXTRACT_TIMESTAMP ON FIND_PACKAGE_ARGS 1.12 NAMES GTest QUIET)

# framecall_need(NAME TARGET APT_PACKAGE [DEFINITION]...): afterwards TARGET exists.
function(framecall_need name target apt_package)
  if(TARGET ${target})
    return()
  endif()
  message(CHECK_START "Looking for ${name} (${apt_package})")
  FetchContent_MakeAvailable(${name})
  if(TARGET ${target})
    message(CHECK_PASS "found")
    return()
  endif()
  add_library(framecall_fetched_${name} INTERFACE)
  add_library(${target} ALIAS framecall_fetched_${name})
  target_include_directories(framecall_fetched_${name} SYSTEM INTERFACE ${${name}_SOURCE_DIR}/include)
  target_compile_definitions(framecall_fetched_${name} INTERFACE ${ARGN})
  message(CHECK_PASS "not installed; headers are in ${${name}_SOURCE_DIR}")
endfunction()

framecall_need(asio asio::asio libasio-dev ASIO_STANDALONE)
framecall_need(nlohmann_json nlohmann_json::nlohmann_json nlohmann-json3-dev)
framecall_need(tomlplusplus tomlplusplus::tomlplusplus libtomlplusplus-dev)
if(FRAMECALL_BUILD_CLI)
  framecall_need(cli11 CLI11::CLI11 libcli11-dev)
  framecall_need(spdlog spdlog::spdlog_header_only libspdlog-dev FMT_HEADER_ONLY)
endif()
if(FRAMECALL_BUILD_TESTS)
  set(INSTALL_GTEST OFF)
  framecall_need(googletest GTest::gtest_main "libgtest-dev googletest")
endif()
