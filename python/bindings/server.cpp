#include "server.hpp"

#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framecall/server.hpp"
#include "object.hpp"

namespace framecall::python {
namespace {

namespace py = pybind11;

// What pybind11 makes of C++ exceptions is coarser than what set_python_error() does.
template <class Function>
auto translated(Function function) {
  try {
    return function();
  } catch (const py::error_already_set&) {
    throw;
  } catch (...) {
    set_python_error();
    throw py::error_already_set();
  }
}

std::unique_ptr<Server> make_server(const std::optional<std::string>& root, unsigned threads) {
  return translated([&] {
    ServerOptions options;
    options.threads = threads;
    if (root) options.files = std::make_shared<FileStore>(*root);
    return std::make_unique<Server>(std::move(options));
  });
}

std::string listen(Server& server, const std::string& address, const std::vector<std::string>& protocols) {
  return translated([&] { return server.listen(Endpoint::parse(address), Protocols::named(protocols)).to_string(); });
}

std::string listen_udp(Server& server, const std::string& address, const std::optional<std::string>& reply) {
  return translated([&] { return server.listen_udp(Endpoint::parse(address), reply).to_string(); });
}

}  // namespace

void add_server(py::module_& module) {
  py::class_<Server>(module, "Server")
      .def(py::init(&make_server), py::arg("root"), py::arg("threads"))
      .def("listen", &listen)
      .def("listen_udp", &listen_udp)
      .def("start", [](Server& server) { translated([&] { server.start(); }); })
      .def("drain", &Server::drain)
      .def("stop", &Server::stop)
      .def("wait", &Server::wait, py::call_guard<py::gil_scoped_release>());
}

}  // namespace framecall::python
