# Install rules of the C++ library: headers, archives, CMake package, pkg-config file. All belong to the component
# `development`, so that a wheel, which takes the component `python`, gets none of them.

include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/framecall)

install(TARGETS framecall EXPORT framecallTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY cpp/include/framecall ${PROJECT_BINARY_DIR}/generated/framecall
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development FILES_MATCHING PATTERN "*.hpp")

# Our headers include nlohmann/json.hpp, two of them Asio. What was downloaded the user need not have: bring it along.
set(third_party_cflags "")
set(third_party_requires "nlohmann_json >= 3.11")
set(third_party_dir ${CMAKE_INSTALL_INCLUDEDIR}/framecall/third_party)
if(TARGET framecall_fetched_nlohmann_json)
  get_target_property(json_include_dir framecall_fetched_nlohmann_json INTERFACE_INCLUDE_DIRECTORIES)
  install(DIRECTORY ${json_include_dir}/nlohmann DESTINATION ${third_party_dir} COMPONENT development)
  set(third_party_requires "")
endif()
if(TARGET framecall_fetched_asio)
  get_target_property(asio_include_dir framecall_fetched_asio INTERFACE_INCLUDE_DIRECTORIES)
  install(DIRECTORY ${asio_include_dir}/ DESTINATION ${third_party_dir} COMPONENT development
    FILES_MATCHING PATTERN "*.hpp" PATTERN "*.ipp")
endif()
if(TARGET framecall_fetched_nlohmann_json OR TARGET framecall_fetched_asio)
  set(third_party_cflags " -isystem \${includedir}/framecall/third_party")
endif()

install(EXPORT framecallTargets NAMESPACE framecall:: DESTINATION ${package_dir} COMPONENT development)
configure_package_config_file(cmake/framecallConfig.cmake.in ${PROJECT_BINARY_DIR}/framecallConfig.cmake
  INSTALL_DESTINATION ${package_dir} PATH_VARS CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/framecallConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/framecallConfig.cmake ${PROJECT_BINARY_DIR}/framecallConfigVersion.cmake
  DESTINATION ${package_dir} COMPONENT development)

# The prefix is found from where the file lies, however many levels CMAKE_INSTALL_LIBDIR has.
file(RELATIVE_PATH prefix_from_pc_file /x/${CMAKE_INSTALL_LIBDIR}/pkgconfig /x)
configure_file(cmake/framecall.pc.in ${PROJECT_BINARY_DIR}/framecall.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/framecall.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)

if(FRAMECALL_BUILD_CLI)
  install(TARGETS framecall_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT program)
endif()
