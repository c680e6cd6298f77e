# Standalone Asio comes without a CMake package. Defines asio::asio, asio_VERSION and asio_INCLUDE_DIR.

find_path(asio_INCLUDE_DIR asio.hpp)
mark_as_advanced(asio_INCLUDE_DIR)

if(asio_INCLUDE_DIR AND EXISTS "${asio_INCLUDE_DIR}/asio/version.hpp")
  file(STRINGS "${asio_INCLUDE_DIR}/asio/version.hpp" asio_VERSION REGEX "^#define ASIO_VERSION [0-9]+")
  string(REGEX MATCH "[0-9]+" asio_VERSION "${asio_VERSION}")
  math(EXPR asio_MAJOR "${asio_VERSION} / 100000")
  math(EXPR asio_MINOR "${asio_VERSION} / 100 % 1000")
  math(EXPR asio_PATCH "${asio_VERSION} % 100")
  set(asio_VERSION ${asio_MAJOR}.${asio_MINOR}.${asio_PATCH})
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(asio REQUIRED_VARS asio_INCLUDE_DIR VERSION_VAR asio_VERSION)

if(asio_FOUND AND NOT TARGET asio::asio)
  add_library(asio::asio INTERFACE IMPORTED)
  set_target_properties(asio::asio PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${asio_INCLUDE_DIR}"
    INTERFACE_COMPILE_DEFINITIONS ASIO_STANDALONE)
endif()
