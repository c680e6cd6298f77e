#include "server/server.hpp"

#include <pybind11/stl.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/client.hpp"
#include "framecall/server.hpp"
#include "framecall/wire/frame.hpp"
#include "server/handlers.hpp"
#include "types/gil.hpp"
#include "types/translated.hpp"

namespace framecall::python {
namespace {

namespace py = pybind11;

// The server and the Python functions that answer its calls. framecall.Server has one.
class PythonServer {
 public:
  PythonServer(const py::dict& limits, std::size_t handler_threads)
      : router_(std::make_shared<Router>()), handlers_(std::make_shared<Handlers>()) {
    ServerOptions options;
    set_limits(options, limits);
    options.router = router_;
    options.batch = handlers_;
    options.batch_threads = handler_threads;
    options.log = [handlers = handlers_.get()](LogLevel level, std::string_view line) {
      handlers->log_later(level, line);
    };
    server_ = std::make_unique<Server>(std::move(options));
  }
  ~PythonServer() { stop(); }
  PythonServer(const PythonServer&) = delete;

  std::string listen(const std::string& address, const std::vector<std::string>& protocols) {
    return server().listen(Endpoint::parse(address), Protocols::named(protocols)).to_string();
  }
  std::string listen_udp(const std::string& address, const std::optional<std::string>& reply) {
    return server().listen_udp(Endpoint::parse(address), reply).to_string();
  }

  void add(const py::dict& description);

  void start() {
    handlers_->start();
    server().start();
  }
  int loop_descriptor() const { return handlers_->loop_descriptor(); }
  void run_on_loop(const py::object& task_type, const py::object& loop, bool shared) {
    handlers_->run_on_loop(task_type.ptr(), loop.ptr(), shared);
  }
  void drain() { server().drain(); }
  void wait() {
    Server& waited = server();
    const WithoutGil without_gil;
    waited.wait();
  }
  void stop() {
    if (!server_) return;
    const WithoutGil without_gil;
    server_.reset();  // and with it the connections
    handlers_->stop();
  }
  // In a child of fork(): the threads are its parent's, and so are the connections.
  void abandon() {
    if (!server_) return;
    server_->leave_to_parent();
    [[maybe_unused]] Server* const left = server_.release();
    [[maybe_unused]] auto* const kept = new std::shared_ptr<Handlers>(handlers_);
  }

 private:
  static void set_limits(ServerOptions& options, const py::dict& limits);

  std::shared_ptr<Router> router_;
  std::shared_ptr<Handlers> handlers_;
  Server& server() {
    if (!server_) raise(PyExc_ValueError, "this Server has ended");
    return *server_;
  }

  std::unique_ptr<Server> server_;  // none: it has ended, or was left to the parent of this process
};

// `limits` have the names of ServerOptions, and the flags of `framecall serve`; what is None is left as it is.
void PythonServer::set_limits(ServerOptions& options, const py::dict& limits) {
  const auto get = [&](const char* name) { return limits.contains(name) ? py::object(limits[name]) : py::none(); };
  const auto size = [&](const char* name, auto& value, std::uint64_t least, std::uint64_t most = INT64_MAX) {
    const py::object given = get(name);
    if (given.is_none()) return;
    const Ref index = own(PyNumber_Index(given.ptr()));
    most = std::min<std::uint64_t>(std::numeric_limits<std::decay_t<decltype(value)>>::max(), most);
    int overflow = 0;
    const long long number = PyLong_AsLongLongAndOverflow(index.get(), &overflow);
    if (overflow != 0 || number < static_cast<long long>(least) || static_cast<std::uint64_t>(number) > most) {
      raise(PyExc_ValueError, "%s: %llu .. %llu, not %S", name, static_cast<unsigned long long>(least),
            static_cast<unsigned long long>(most), index.get());
    }
    value = static_cast<std::decay_t<decltype(value)>>(number);
  };
  const auto duration = [&](const char* name, std::chrono::milliseconds& value) {
    const py::object given = get(name);
    if (!given.is_none()) value = to_timeout(given.ptr());
  };
  const py::object root = get("root"), durability = get("durability");
  FileStoreOptions files;
  if (!durability.is_none()) {
    const auto name = durability.cast<std::string>();
    if (name != "none" && name != "close" && name != "full") {
      raise(PyExc_ValueError, "durability: none, close, full, not %R", durability.ptr());
    }
    files.durability = name == "none" ? Durability::none : name == "close" ? Durability::close : Durability::full;
    options.put_durability = files.durability;
  }
  if (const py::object access = get("access"); !access.is_none()) {
    files.access = Access::named(access.cast<std::vector<std::string>>());
  }
  size("quota", files.quota, 0);
  if (const py::object programs = get("programs"); !programs.is_none()) {
    for (const std::string& program : programs.cast<std::vector<std::string>>()) options.programs.emplace_back(program);
  }
  if (!root.is_none()) options.files = std::make_shared<FileStore>(root.cast<std::string>(), files);
  size("threads", options.threads, 1);
  size("max_header", options.max_header, 2, largest_max_header_size);
  size("max_body", options.max_body, 0);
  size("max_in_flight", options.max_in_flight, 1);
  size("max_streams", options.max_streams, 1);
  size("stream_threads", options.stream_threads, 1);
  size("max_connection_memory", options.max_connection_memory, 1);
  size("max_memory", options.max_memory, 1);
  size("min_body_rate", options.min_body_rate, 0);
  size("peer_share", options.peer_share, 1);
  size("max_file", options.max_file, 0);
  size("max_connections", options.max_connections, 1);
  size("max_udp_calls", options.max_udp_calls, 0);
  size("max_udp_bytes", options.max_udp_bytes, 0);
  size("max_udp_rate", options.max_udp_rate, 0);
  size("max_udp_ratio", options.max_udp_ratio, 0);
  duration("header_timeout", options.header_timeout);
  duration("idle_timeout", options.idle_timeout);
  duration("drain_timeout", options.drain_timeout);
}

Handler::Body body_kind(const std::string& name) {
  if (name == "bytes") return Handler::Body::bytes;
  if (name == "made") return Handler::Body::made;
  return name == "view" ? Handler::Body::view : Handler::Body::none;
}

// What _server.py says about a function. The objects in it stay alive there.
void PythonServer::add(const py::dict& description) {
  auto handler = std::make_unique<Handler>();
  handler->name = description["name"].cast<std::string>();
  handler->function = py::object(description["function"]).ptr();
  handler->takes_request = description["takes_request"].cast<bool>();
  handler->asynchronous = description["asynchronous"].cast<bool>();
  handler->streams = description["streams"].cast<bool>();
  handler->generates = description["generates"].cast<bool>();
  handler->any_parameters = description["any_parameters"].cast<bool>();
  handler->debug = description["debug"].cast<bool>();
  handler->body = body_kind(description["body"].cast<std::string>());
  const py::object maker = description["body_maker"];
  handler->body_maker = maker.is_none() ? nullptr : maker.ptr();
  handler->body_optional = description["body_optional"].cast<bool>();
  handler->body_default = description["body_default"].cast<bool>();
  handler->body_key = PyUnicode_InternFromString("body");
  handler->task_name = to_str(handler->name).release();
  PyUnicode_InternInPlace(&handler->task_name);
  std::vector<ParameterInfo> infos;
  for (const py::handle one : py::list(description["parameters"])) {
    const py::dict parameter = py::reinterpret_borrow<py::dict>(one);
    const py::object name = parameter["name"], check = parameter["check"];
    infos.push_back({name.cast<std::string>(), parameter["required"].cast<bool>(),
                     parse_json(parameter["schema"].cast<std::string>())});
    handler->parameters.push_back({infos.back().name, name.ptr(), parameter["kinds"].cast<unsigned>(),
                                   infos.back().required, parameter["by_name"].cast<bool>(),
                                   check.is_none() ? nullptr : check.ptr(), parameter["expected"].cast<std::string>()});
  }
  Method& method = handlers_->add(*router_, std::move(handler));
  method.summary = description["summary"].cast<std::string>();
  method.parameters = std::move(infos);
  method.result_schema = parse_json(description["result_schema"].cast<std::string>());
}

// A member function, with its errors as Python's.
template <class... Arguments, class Result>
auto member(Result (PythonServer::*function)(Arguments...)) {
  return [function](PythonServer& server, Arguments... arguments) -> Result {
    return translated([&]() -> Result { return (server.*function)(arguments...); });
  };
}

}  // namespace

void add_server(py::module_& module) {
  add_handler_types(module.ptr());
  py::class_<PythonServer>(module, "Server")
      .def(py::init([](const py::dict& limits, std::size_t handler_threads) {
             return translated([&] { return std::make_unique<PythonServer>(limits, handler_threads); });
           }),
           py::arg("limits"), py::arg("handler_threads"))
      .def("listen", member(&PythonServer::listen))
      .def("listen_udp", member(&PythonServer::listen_udp))
      .def("add", member(&PythonServer::add))
      .def("start", member(&PythonServer::start))
      .def("loop_descriptor", &PythonServer::loop_descriptor)
      .def("run_on_loop", member(&PythonServer::run_on_loop))
      .def("drain", member(&PythonServer::drain))
      .def("wait", member(&PythonServer::wait))
      .def("stop", &PythonServer::stop)
      .def("abandon", &PythonServer::abandon);
}

}  // namespace framecall::python
