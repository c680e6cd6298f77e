#include "client/files.hpp"

#include <pybind11/stl.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "client/client.hpp"
#include "framecall/dialect_client.hpp"
#include "framecall/endpoint.hpp"
#include "framecall/file_client.hpp"
#include "framecall/wire/dialect_file.hpp"
#include "types/decoder.hpp"
#include "types/gil.hpp"
#include "types/translated.hpp"

namespace framecall::python {
namespace {

namespace py = pybind11;

using Length = std::optional<std::uint64_t>;

// `function(done, size)`, called without the GIL; what it raises ends the transfer.
FileProgress to_progress(const py::object& function) {
  if (function.is_none()) return {};
  return [callable = function.ptr()](std::uint64_t done, std::uint64_t size) {
    const WithGil gil;
    own(PyObject_CallFunction(callable, "KK", static_cast<unsigned long long>(done),
                              static_cast<unsigned long long>(size)));
  };
}

template <class Work>
auto without_gil(Work work) {
  return translated([&] {
    const WithoutGil released;
    return work();
  });
}

ClientOptions to_options(const py::object& timeout) {
  ClientOptions options;
  options.timeout = timeout.is_none() ? std::chrono::hours(24 * 365) : to_timeout(timeout.ptr());
  options.check = run_signal_handlers;
  return options;
}

std::unique_ptr<FileClient> make_client(const std::string& address, const py::object& timeout,
                                        const py::object& dialect) {
  return translated([&] {
    ClientOptions options = to_options(timeout);
    options.dialect = dialect_of_calls(dialect.ptr());
    return std::make_unique<FileClient>(Endpoint::parse(address), std::move(options));
  });
}

std::string put(FileClient& files, const std::string& path, const std::string& name, bool resume, bool replace,
                const py::object& progress) {
  PutOptions options;
  options.resume = resume;
  options.replace = replace;
  options.progress = to_progress(progress);
  return without_gil([&] { return files.put(path, name, options).sha256; });
}

GetOptions range(std::uint64_t offset, Length length, Length max_size) {
  GetOptions options;
  options.offset = offset;
  options.length = length;
  if (max_size) options.max_size = *max_size;
  return options;
}

std::uint64_t get(FileClient& files, const std::string& name, const std::string& target, bool resume,
                  std::uint64_t offset, Length length, Length max_size, const py::object& progress) {
  GetOptions options = range(offset, length, max_size);
  options.resume = resume;
  options.progress = to_progress(progress);
  return without_gil([&] { return files.get(name, target, options).size; });
}

py::bytes read(FileClient& files, const std::string& name, std::uint64_t offset, Length length,
               std::uint64_t max_size) {
  std::string content;
  const GetOptions options = range(offset, length, max_size);
  without_gil([&] { return files.read(name, [&](std::string_view piece) { content += piece; }, options).size; });
  return content;
}

bool send_file(const std::string& address, const std::string& path, const std::string& name, const std::string& dialect,
               const py::object& timeout, const py::object& progress) {
  DialectOptions options;
  translated([&] {
    options.dialect = find_dialect(dialect);
    options.timeout = to_options(timeout).timeout;
    return 0;
  });
  options.progress = [report = to_progress(progress)](std::uint64_t done, std::uint64_t size) {
    run_signal_handlers();
    if (report) report(done, size);
  };
  return without_gil([&] {
    DialectClient client(Endpoint::parse(address), options);
    client.send_file(path, name);
    return client.finish();
  });
}

}  // namespace

void add_files(py::module_& module) {
  py::class_<FileInfo>(module, "FileInfo", "A file of a server.")
      .def_readonly("name", &FileInfo::name)
      .def_readonly("size", &FileInfo::size, "Bytes.")
      .def_readonly("mtime", &FileInfo::mtime, "Seconds since 1970.")
      .def("__repr__", [](const FileInfo& info) {
        return py::str("FileInfo(name={!r}, size={}, mtime={})").format(info.name, info.size, info.mtime);
      });
  module.attr("FileInfo").attr("__module__") = "framecall";  // where users find it
  py::class_<FileClient>(module, "FileClient")
      .def(py::init(&make_client), py::arg("address"), py::arg("timeout"), py::arg("dialect"))
      .def("put", &put)
      .def("get", &get)
      .def("read", &read)
      .def("list",
           [](FileClient& files, const std::string& prefix) { return without_gil([&] { return files.list(prefix); }); })
      .def("stat",
           [](FileClient& files, const std::string& name) { return without_gil([&] { return files.stat(name); }); })
      .def("remove", [](FileClient& files, const std::string& name) {
        without_gil([&] {
          files.remove(name);
          return 0;
        });
      });
  module.def("send_file", &send_file);
}

}  // namespace framecall::python
