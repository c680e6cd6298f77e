#include "server/server.hpp"

#include <pybind11/stl.h>

#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framecall/detail/file_store.hpp"
#include "framecall/detail/setting_values.hpp"
#include "framecall/server.hpp"
#include "server/handlers.hpp"
#include "types/gil.hpp"
#include "types/translated.hpp"

namespace framecall::python {
namespace {

namespace py = pybind11;

// The server and the Python functions that answer its calls. framecall.Server has one.
class PythonServer {
 public:
  PythonServer(const py::dict& values, const std::vector<std::string>& programs)
      : router_(std::make_shared<Router>()), handlers_(std::make_shared<Handlers>()) {
    const ServerSettings settings = settings_of(values);
    protocols_ = Protocols::named(settings.protocols);
    ServerOptions options = open_settings(settings);
    options.files = open_root(settings);
    options.programs.assign(programs.begin(), programs.end());
    options.router = router_;
    options.batch = handlers_;
    options.log = [handlers = handlers_.get()](LogLevel level, std::string_view line) {
      handlers->log_later(level, line);
    };
    server_ = std::make_unique<Server>(std::move(options));
  }
  ~PythonServer() { stop(); }
  PythonServer(const PythonServer&) = delete;

  std::string listen(const std::string& address) {
    return server().listen(Endpoint::parse(address), protocols_).to_string();
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
  static ServerSettings settings_of(const py::dict& values);

  std::shared_ptr<Router> router_;
  std::shared_ptr<Handlers> handlers_;
  Protocols protocols_;
  Server& server() {
    if (!server_) raise(PyExc_ValueError, "this Server has ended");
    return *server_;
  }

  std::unique_ptr<Server> server_;  // none: it has ended, or was left to the parent of this process
};

std::uint64_t to_number(const Setting& setting, PyObject* value) {
  const Ref index = own(PyNumber_Index(value));
  int overflow = 0;
  const long long number = PyLong_AsLongLongAndOverflow(index.get(), &overflow);
  if (number == -1 && overflow == 0 && PyErr_Occurred() != nullptr) throw PyError();
  if (overflow != 0 || number < 0) {
    refuse_value(setting, SettingSource::keyword, py::str(py::handle(index.get())).cast<std::string>());
  }
  return static_cast<std::uint64_t>(number);
}

std::uint64_t to_milliseconds(const Setting& setting, PyObject* value) {
  const double seconds = PyFloat_AsDouble(value);
  if (seconds == -1 && PyErr_Occurred() != nullptr) throw PyError();
  if (!(seconds >= 0 && seconds <= 1e9)) {
    refuse_value(setting, SettingSource::keyword, py::repr(value).cast<std::string>());
  }
  return static_cast<std::uint64_t>(std::ceil(seconds * 1000));
}

std::string to_text(const Setting& setting, const py::handle& value) {
  if (setting.type != SettingType::path) return value.cast<std::string>();
  PyObject* bytes = nullptr;
  if (PyUnicode_FSConverter(value.ptr(), &bytes) == 0) throw PyError();
  return py::reinterpret_steal<py::bytes>(bytes);
}

SettingValue to_value(const Setting& setting, const py::handle& value) {
  switch (setting.type) {
    case SettingType::bytes:
    case SettingType::count:
    case SettingType::percent: return to_number(setting, value.ptr());
    case SettingType::seconds: return to_milliseconds(setting, value.ptr());
    case SettingType::text:
    case SettingType::path: return to_text(setting, value);
    case SettingType::list:
      if (py::isinstance<py::str>(value)) return std::vector<std::string>{value.cast<std::string>()};
      return py::list(py::reinterpret_borrow<py::object>(value)).cast<std::vector<std::string>>();
    case SettingType::flag: return value.cast<bool>();
  }
  return {};
}

// `values`: keywords of framecall.Server; None is the default.
ServerSettings PythonServer::settings_of(const py::dict& values) {
  ServerSettings settings;
  for (const auto& [key, value] : values) {
    const auto name = key.cast<std::string>();
    const Setting* const setting = find_setting(name);
    if (setting == nullptr || !setting->python) raise(PyExc_TypeError, "there is no setting %R", key.ptr());
    if (!value.is_none()) {
      set_value(settings, *setting, to_value(*setting, value), SettingSource::keyword);
    } else if (setting->python_default) {
      setting->set(settings, *setting->python_default);
    }
  }
  return settings;
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
  if (description["replace_builtin"].cast<bool>()) router_->replace_builtin(handler->name);
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
  module.def("settings_json", [] { return translated([] { return settings_json(); }); });
  py::class_<PythonServer>(module, "Server")
      .def(py::init([](const py::dict& settings, const std::vector<std::string>& programs) {
             return translated([&] { return std::make_unique<PythonServer>(settings, programs); });
           }),
           py::arg("settings"), py::arg("programs"))
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
