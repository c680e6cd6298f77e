// One call of a Python function: from params to arguments, from what it returns to a reply.
#include <Python.h>
#include <structmember.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <memory_resource>
#include <new>
#include <optional>
#include <stop_token>
#include <utility>

#include "framecall/error.hpp"
#include "json/json_python.hpp"
#include "server/handlers.hpp"
#include "types/gil.hpp"
#include "types/message.hpp"

namespace framecall::python {
namespace {

constexpr int result_depth = 2;   // the header is level 1
constexpr int failure_depth = 3;  // of the data: the error is level 2

[[noreturn]] void refuse(const std::string& what) { throw CallError(ErrorCode::invalid_params, what); }

// ---- framecall.Request: a call as its handler sees it

struct RequestObject {
  PyObject head;
  std::optional<Request> request;
  std::shared_ptr<Handlers> handlers;
  std::shared_ptr<Stream> stream;  // none: one frame each way
  PyObject* body;                  // a Body, made when it is asked for
};

PyTypeObject* request_type = nullptr;
PyTypeObject* pending_type = nullptr;
PyObject* response_class = nullptr;  // framecall.Response

RequestObject* as_request(PyObject* self) { return reinterpret_cast<RequestObject*>(self); }

Ref make_request(Handlers& handlers, Request&& request, std::shared_ptr<Stream> stream) {
  Ref self = own(request_type->tp_alloc(request_type, 0));
  RequestObject* const object = as_request(self.get());
  new (&object->request) std::optional<Request>(std::move(request));
  new (&object->handlers) std::shared_ptr<Handlers>(handlers.shared_from_this());
  new (&object->stream) std::shared_ptr<Stream>(std::move(stream));
  return self;
}

void deallocate_request(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  Py_XDECREF(as_request(self)->body);
  std::destroy_at(&as_request(self)->stream);
  std::destroy_at(&as_request(self)->request);
  std::destroy_at(&as_request(self)->handlers);
  type->tp_free(self);
  Py_DECREF(type);
}

Ref body_view(RequestObject* self) {
  if (self->body == nullptr) self->body = make_body(self->request->take_body()).release();
  return own(PyMemoryView_FromObject(self->body));
}

Ref params_of(const Request& request) {
  return request.params_text().empty() ? none() : read_value(request.params_text());
}

PyObject* request_method(PyObject* self, void*) {
  return guard([&] { return to_str(as_request(self)->request->method()); });
}
PyObject* request_params(PyObject* self, void*) {
  return guard([&] { return params_of(*as_request(self)->request); });
}
PyObject* request_body(PyObject* self, void*) {
  return guard([&] { return body_view(as_request(self)); });
}
PyObject* request_peer(PyObject* self, void*) {
  return guard([&] { return to_str(as_request(self)->request->peer()); });
}
PyObject* request_timeout(PyObject* self, void*) {
  return guard([&] {
    const std::uint64_t timeout = as_request(self)->request->timeout_ms();
    return timeout > 0 ? own(PyFloat_FromDouble(static_cast<double>(timeout) / 1000)) : none();
  });
}
PyObject* request_cancelled(PyObject* self, void*) {
  return PyBool_FromLong(as_request(self)->request->cancelled() ? 1 : 0);
}
PyObject* request_metadata(PyObject* self, void*) {
  return guard([&] {
    const std::string_view text = as_request(self)->request->metadata_text();
    return text.empty() ? own(PyDict_New()) : read_value(text);
  });
}

template <int Name>
PyObject* request_arrays(PyObject* self, PyObject*) {
  return guard([&] {
    const std::string& layout = as_request(self)->request->layout();
    const Ref make = function_of("_arrays", Name == 0 ? "array" : "arrays");
    const Ref described = layout.empty() ? own(PyDict_New()) : read_value(layout);
    return own(PyObject_CallFunctionObjArgs(make.get(), body_view(as_request(self)).get(), described.get(), nullptr));
  });
}

// ---- parts

// An object with a method wake(), called on the loop when another attempt is worth it.
class Waiter {
 public:
  Waiter(std::shared_ptr<Handlers> handlers, PyObject* object)
      : handlers_(std::move(handlers)), object_(borrow(object).release()) {}
  Waiter(const Waiter&) = delete;
  ~Waiter() {
    if (PyObject* const object = object_.exchange(nullptr)) handlers_->release_later(object);
  }
  void wake() {
    if (PyObject* const object = object_.exchange(nullptr)) handlers_->wake_later(object);
  }

 private:
  const std::shared_ptr<Handlers> handlers_;
  std::atomic<PyObject*> object_;
};

std::function<void()> waker(RequestObject* self, PyObject* object) {
  return [waiter = std::make_shared<Waiter>(self->handlers, object)] { waiter->wake(); };
}

Stream& stream_of(PyObject* self) {
  if (!as_request(self)->stream) raise(PyExc_ValueError, "this method takes one frame, and is answered with one");
  return *as_request(self)->stream;
}

// The next part, None at the end.
PyObject* request_read_part(PyObject* self, PyObject*) {
  return guard([&] {
    Stream& stream = stream_of(self);
    Part part;
    bool there = false;
    {
      const WithoutGil without_gil;
      there = stream.read(part);
    }
    return there ? make_part(std::move(part)) : none();
  });
}

// The same; NotImplemented: not yet, the waiter will be woken.
PyObject* request_try_read_part(PyObject* self, PyObject* object) {
  return guard([&] {
    Part part;
    switch (stream_of(self).try_read(part, waker(as_request(self), object))) {
      case Stream::Attempt::done: return make_part(std::move(part));
      case Stream::Attempt::end: return none();
      default: return borrow(Py_NotImplemented);
    }
  });
}

PyObject* request_parts(PyObject* self, PyObject*) {
  return guard([&] {
    stream_of(self);
    return own(PyObject_CallOneArg(function_of("_server", "Parts").get(), self));
  });
}

// ---- what a function returns

Response to_response(Handlers& handlers, PyObject* value);

void take_body(Handlers& handlers, Response& response, PyObject* object) {
  const OutBody body(object);
  if (!body.given()) return;
  response.body = handlers.hold(body.source(), body.view());
  response.layout = body.layout();
}

void check_metadata(PyObject* metadata) {
  Py_ssize_t position = 0;
  PyObject *key = nullptr, *value = nullptr;
  bool fits = PyDict_Check(metadata) != 0;
  while (fits && PyDict_Next(metadata, &position, &key, &value) != 0) {
    fits = PyUnicode_Check(key) && PyUnicode_Check(value);
  }
  if (!fits) raise(PyExc_TypeError, "the metadata of a Response must be a dict of strings, not %.200R", metadata);
}

// framecall.Response(result, body, metadata, digest)
Response from_response(Handlers& handlers, PyObject* value) {
  const auto attribute = [value](const char* name) { return own(PyObject_GetAttrString(value, name)); };
  Response response;
  response.result.clear();
  write_value(response.result, attribute("result").get(), result_depth);
  take_body(handlers, response, attribute("body").get());
  const Ref metadata = attribute("metadata"), digest = attribute("digest");
  if (metadata.get() != Py_None) {
    check_metadata(metadata.get());
    write_value(response.metadata, metadata.get(), result_depth);
  }
  const int wants_digest = PyObject_IsTrue(digest.get());
  if (wants_digest < 0) throw PyError();
  response.digest = wants_digest != 0;
  return response;
}

bool is_bytes(PyObject* value) { return PyBytes_Check(value) || PyByteArray_Check(value) || PyMemoryView_Check(value); }

Response to_response(Handlers& handlers, PyObject* value) {
  if (reinterpret_cast<PyObject*>(Py_TYPE(value)) == response_class) return from_response(handlers, value);
  Response response;
  if (is_bytes(value)) {
    take_body(handlers, response, value);
    return response;
  }
  response.result.clear();
  try {
    write_value(response.result, value, result_depth);
    return response;
  } catch (const PyError&) {
    if (!PyErr_ExceptionMatches(PyExc_TypeError)) throw;
  }
  PyErr_Clear();
  response.result = "null";
  const Ref describe = function_of("_server", "result_body");  // arrays, or a TypeError that names the path
  take_body(handlers, response, own(PyObject_CallOneArg(describe.get(), value)).get());
  return response;
}

Part to_part(Handlers& handlers, PyObject* value) {
  Response response = to_response(handlers, value);
  Part part;
  part.value = std::move(response.result);
  part.body = std::move(response.body);
  part.layout = std::move(response.layout);
  return part;
}

// True: it is on its way; None: the same, but the waiter will be woken when the next one is wanted; False: not now, the waiter will
// be woken.
PyObject* request_try_write_part(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  return guard([&] {
    if (count != 2) raise(PyExc_TypeError, "_try_write_part(value, waiter)");
    Stream& stream = stream_of(self);
    Handlers& handlers = *as_request(self)->handlers;
    const auto wake = waker(as_request(self), arguments[1]);
    try {
      Part part = to_part(handlers, arguments[0]);
      if (stream.try_write(part, wake) != Stream::Attempt::done) return borrow(Py_False);
    } catch (const CallError&) {
      handlers.release_now();  // what was refused: many streams may be, before another thread has the interpreter
      throw;
    }
    return borrow(stream.wants_more(wake) ? Py_True : Py_None);
  });
}

PyMethodDef request_methods[] = {
    {"array", request_arrays<0>, METH_NOARGS,
     "array($self, /)\n--\n\nThe body as the NumPy array that was sent; see Reply.array().\n"},
    {"arrays", request_arrays<1>, METH_NOARGS,
     "arrays($self, /)\n--\n\nThe body as the NumPy arrays that were sent together, by name; see Reply.arrays().\n"},
    {"parts", request_parts, METH_NOARGS,
     "parts($self, /)\n--\n\n"
     "The parts that the caller sends behind the request itself, for handlers that stream: an iterator, or an "
     "asynchronous\n"
     "one in an `async def`. ValueError for a method that takes one frame.\n"},
    {"_read_part", request_read_part, METH_NOARGS, nullptr},
    {"_try_read_part", request_try_read_part, METH_O, nullptr},
    {"_try_write_part", as_method(request_try_write_part), METH_FASTCALL, nullptr},
    {}};

PyGetSetDef request_properties[] = {
    {"method", request_method, nullptr, "The name of the method.", nullptr},
    {"params", request_params, nullptr, "A list, a dict, or None.", nullptr},
    {"body", request_body, nullptr, "The raw bytes: a writable memoryview; empty if there are none.", nullptr},
    {"metadata", request_metadata, nullptr, "A dict of strings, empty if there is none.", nullptr},
    {"peer", request_peer, nullptr, "The address of the caller, for messages.", nullptr},
    {"timeout", request_timeout, nullptr, "Seconds that the caller gave; None: no limit.", nullptr},
    {"cancelled", request_cancelled, nullptr,
     "The caller does not want the answer any more, or its deadline has passed, or it is gone.", nullptr},
    {}};

// ---- arguments

enum Kind : unsigned { null_kind = 1, bool_kind = 2, int_kind = 4, float_kind = 8, str_kind = 16, list_kind = 32 };
constexpr unsigned dict_kind = 64;

unsigned kind_of(PyObject* value) {
  if (PyUnicode_CheckExact(value)) return str_kind;
  if (PyBool_Check(value)) return bool_kind;
  if (PyLong_CheckExact(value)) return int_kind;
  if (PyFloat_CheckExact(value)) return float_kind;
  if (value == Py_None) return null_kind;
  return PyList_CheckExact(value) ? list_kind : dict_kind;
}

void check_param(const Handler::Parameter& parameter, PyObject* value) {
  bool fits = (parameter.kinds & kind_of(value)) != 0;
  if (fits && parameter.check != nullptr) {
    const Ref verdict = own(PyObject_CallOneArg(parameter.check, value));
    fits = verdict.get() == Py_True;
  }
  if (fits) return;
  std::string text;
  write_value(text, value, 1);
  refuse(parameter.name + ": expected " + parameter.expected + ", got " + printable(text, 60));
}

std::string names_of(const std::vector<Handler::Parameter>& parameters) {
  std::string names;
  for (const auto& parameter : parameters) names.append(names.empty() ? "" : ", ").append(parameter.name);
  return names.empty() ? "none" : names;
}

// Null: its default.
Ref body_argument(const Handler& handler, Request& request) {
  if (request.body().empty() && request.layout().empty()) {
    if (handler.body_default) return Ref();
    if (handler.body_optional) return none();
  }
  if (handler.body == Handler::Body::bytes) {
    return own(PyBytes_FromStringAndSize(request.body().data(), static_cast<Py_ssize_t>(request.body().size())));
  }
  Ref view = view_of(request.take_body());
  if (handler.body == Handler::Body::view) return view;
  const Ref layout = request.layout().empty() ? own(PyDict_New()) : read_value(request.layout());
  try {
    return own(PyObject_CallFunctionObjArgs(handler.body_maker, view.get(), layout.get(), nullptr));
  } catch (const PyError&) {  // a caller that lies about dtype or shape
    if (!PyErr_ExceptionMatches(PyExc_ValueError)) throw;
    PyObject *type = nullptr, *error = nullptr, *trace = nullptr;
    PyErr_Fetch(&type, &error, &trace);
    const Ref kept_type(type), kept_error(error), kept_trace(trace);
    refuse("body: " + std::string(text_of(own(PyObject_Str(error)).get())));
  }
}

// The arguments of one call, for vectorcall: by place as long as none is left out, then by name.
class Arguments {
 public:
  Arguments(const Handler& handler, Request& request) : handler_(handler) {
    stack_.push_back(nullptr);  // room for a self
    if (has_body()) {
      body_ = body_argument(handler, request);
      if (body_) add_named(handler.body_key, body_.get());
    }
    if (!request.params_text().empty()) params_ = read_value(request.params_text());
    if (!params_ || PyList_CheckExact(params_.get())) {
      add_list();
    } else {
      add_dict();
    }
  }

  Ref call() {
    const Ref names = names_.empty() ? Ref() : own(PyTuple_New(static_cast<Py_ssize_t>(names_.size())));
    for (std::size_t i = 0; i < names_.size(); ++i) {
      PyTuple_SET_ITEM(names.get(), static_cast<Py_ssize_t>(i), borrow(names_[i]).release());
    }
    const std::size_t by_place = stack_.size() - 1;
    stack_.insert(stack_.end(), named_.begin(), named_.end());
    return own(PyObject_Vectorcall(handler_.function, stack_.data() + 1, by_place | PY_VECTORCALL_ARGUMENTS_OFFSET,
                                   names.get()));
  }

 private:
  // The body may stand anywhere among the parameters: then all of them go by name.
  bool has_body() const { return handler_.body != Handler::Body::none; }

  void add_named(PyObject* key, PyObject* value) {
    names_.push_back(key);
    named_.push_back(value);
  }

  void add_list() {
    const std::size_t count = params_ ? static_cast<std::size_t>(PyList_GET_SIZE(params_.get())) : 0;
    const auto& parameters = handler_.parameters;
    if (count > parameters.size() && !handler_.any_parameters) {
      refuse("expected at most " + std::to_string(parameters.size()) + " parameters, got " + std::to_string(count));
    }
    for (std::size_t i = 0; i < std::max(count, parameters.size()); ++i) {
      if (i >= count) {
        if (parameters[i].required) refuse(parameters[i].name + " is missing");
        continue;
      }
      PyObject* const value = PyList_GET_ITEM(params_.get(), static_cast<Py_ssize_t>(i));
      if (i < parameters.size()) check_param(parameters[i], value);
      if (i < parameters.size() && (parameters[i].by_name || has_body())) {
        add_named(parameters[i].key, value);
      } else {
        stack_.push_back(value);
      }
    }
  }

  void add_dict() {
    Py_ssize_t used = 0;
    bool by_place = !has_body();
    for (const auto& parameter : handler_.parameters) {
      PyObject* const value = PyDict_GetItemWithError(params_.get(), parameter.key);
      if (value == nullptr) {
        if (parameter.required) refuse(parameter.name + " is missing");
        by_place = false;
        continue;
      }
      ++used;
      check_param(parameter, value);
      by_place = by_place && !parameter.by_name;
      if (by_place) {
        stack_.push_back(value);
      } else {
        add_named(parameter.key, value);
      }
    }
    if (used < PyDict_GET_SIZE(params_.get())) add_rest();
  }

  // Names that are no parameters.
  void add_rest() {
    Py_ssize_t position = 0;
    PyObject *key = nullptr, *value = nullptr;
    while (PyDict_Next(params_.get(), &position, &key, &value)) {
      const std::string_view name = text_of(key);
      const auto& parameters = handler_.parameters;
      const bool known =
          std::any_of(parameters.begin(), parameters.end(), [name](const auto& p) { return p.name == name; });
      if (known) continue;
      if (!handler_.any_parameters) {
        refuse("unknown parameter " + printable(name, 40) + "; expected: " + names_of(parameters));
      }
      add_named(key, value);
    }
  }

  const Handler& handler_;
  Ref params_, body_;  // own what the rest points to
  // The usual few arguments need no block from the heap.
  std::array<std::byte, 512> block_;
  std::pmr::monotonic_buffer_resource memory_{block_.data(), block_.size()};
  std::pmr::vector<PyObject*> stack_{&memory_}, named_{&memory_}, names_{&memory_};
};

// Calls the function. `self`: the Request, made for handlers that get it and those that stream.
Ref call_function(Handlers& handlers, const Handler& handler, Request&& request, std::shared_ptr<Stream> stream,
                  Ref& self) {
  if (handler.takes_request) {
    self = make_request(handlers, std::move(request), std::move(stream));
    return own(PyObject_CallOneArg(handler.function, self.get()));
  }
  std::optional<Arguments> arguments(std::in_place, handler, request);
  if (stream) self = make_request(handlers, std::move(request), std::move(stream));
  return arguments->call();
}

// What the exception that is set is answered with.
Failure python_failure(const Handler& handler) {
  PyObject *type = nullptr, *error = nullptr, *trace = nullptr;
  PyErr_Fetch(&type, &error, &trace);
  PyErr_NormalizeException(&type, &error, &trace);
  const Ref kept_type(type), kept_error(error), kept_trace(trace);
  Failure failure{static_cast<std::int64_t>(ErrorCode::internal_error), "the handler failed", {}};
  if (trace != nullptr && PyException_SetTraceback(error, trace) != 0) PyErr_Clear();
  try {
    const Ref describe = function_of("_server", "failure");
    const Ref told =
        own(PyObject_CallFunction(describe.get(), "sOi", handler.name.c_str(), error, handler.debug ? 1 : 0));
    PyObject *message = nullptr, *data = nullptr;
    long long code = 0;
    if (PyArg_ParseTuple(told.get(), "LUO", &code, &message, &data) == 0) throw PyError();
    Failure described{code, message_text(text_of(message)), {}};
    if (data != Py_None) write_value(described.data, data, failure_depth);
    return described;
  } catch (const PyError&) {  // an error that cannot be put into words
    PyErr_WriteUnraisable(handler.function);
  }
  return failure;
}

// For a catch block.
Failure failure_of(const Handler& handler) {
  try {
    throw;
  } catch (const abi::__forced_unwind&) {
    throw;
  } catch (const PyError&) {
    return python_failure(handler);
  } catch (...) {
    return current_failure();
  }
}

// What can be said of a call before its handler runs.
void check_call(const Handler& handler, const Request& request, const Stream* stream) {
  if (request.cancelled()) throw CallError(ErrorCode::cancelled, "cancelled before it began");
  if (handler.generates && stream != nullptr && !stream->accepts_parts()) {
    throw CallError(ErrorCode::invalid_request, "the answer is a stream, and the request lacks \"stream\": true");
  }
}

// ---- a task on the loop

struct PendingObject {
  PyObject head;
  vectorcallfunc call;  // right behind the head: pending_members says so
  const Handler* handler;
  std::shared_ptr<Handlers> handlers;
  std::optional<Responder> reply;
  std::atomic<PyObject*> task;  // for the one who cancels it
  std::optional<std::stop_callback<std::function<void()>>> on_stop;
};

PendingObject* as_pending(PyObject* self) { return reinterpret_cast<PendingObject*>(self); }

void deallocate_pending(PyObject* self) {
  PendingObject* const pending = as_pending(self);
  PyTypeObject* const type = Py_TYPE(self);
  std::destroy_at(&pending->on_stop);  // first: it uses the rest
  Py_XDECREF(pending->task.exchange(nullptr));
  std::destroy_at(&pending->reply);
  std::destroy_at(&pending->handlers);
  type->tp_free(self);
  Py_DECREF(type);
}

// The task is done.
PyObject* pending_done(PyObject* self, PyObject* const* arguments, std::size_t, PyObject*) {
  return guard([&] {
    PendingObject* const pending = as_pending(self);
    pending->on_stop.reset();
    Ref(pending->task.exchange(nullptr)).reset();
    static PyObject* const result_name = PyUnicode_InternFromString("result");
    try {
      const Ref result = own(PyObject_CallMethodNoArgs(arguments[0], result_name));
      (*pending->reply)(to_response(*pending->handlers, result.get()));
    } catch (...) {
      pending->reply->fail(failure_of(*pending->handler));
    }
    return none();
  });
}

Ref make_pending(Handlers& handlers, const Handler& handler, const Responder& reply) {
  Ref self = own(pending_type->tp_alloc(pending_type, 0));
  PendingObject* const pending = as_pending(self.get());
  pending->call = pending_done;
  pending->handler = &handler;
  new (&pending->handlers) std::shared_ptr<Handlers>(handlers.shared_from_this());
  new (&pending->reply) std::optional<Responder>(reply);
  new (&pending->task) std::atomic<PyObject*>(nullptr);
  new (&pending->on_stop) std::optional<std::stop_callback<std::function<void()>>>();
  return self;
}

// As loop.create_task(), which is written in Python, where the loop has no task factory of its own; with a name that says
// more, and begun at once by an interpreter that can (3.12).
Ref make_task(const Handler& handler, PyObject* awaitable, PyObject* task_type, PyObject* loop) {
  if (loop == Py_None) return own(PyObject_CallOneArg(task_type, awaitable));
#if PY_VERSION_HEX >= 0x030c0000
  static PyObject* const names = Py_BuildValue("(sss)", "loop", "name", "eager_start");
#else
  static PyObject* const names = Py_BuildValue("(ss)", "loop", "name");
#endif
  PyObject* arguments[] = {nullptr, awaitable, loop, handler.task_name, Py_True};
  return own(PyObject_Vectorcall(task_type, arguments + 1, 1 | PY_VECTORCALL_ARGUMENTS_OFFSET, names));
}

void start_task(Handlers& handlers, const Handler& handler, Request&& request, const Responder& reply,
                std::shared_ptr<Stream> stream, PyObject* task_type, PyObject* loop, bool shared) {
  check_call(handler, request, stream.get());
  const std::stop_token stop = request.stop_token();
  const bool streams = stream != nullptr;
  Ref self;
  Ref awaitable = call_function(handlers, handler, std::move(request), std::move(stream), self);
  if (streams) {
    const Ref drive = function_of("_server", "drive");
    awaitable = own(PyObject_CallFunctionObjArgs(drive.get(), awaitable.get(), self.get(), nullptr));
  }
  if (shared) awaitable = own(PyObject_CallOneArg(function_of("_server", "contain").get(), awaitable.get()));
  const Ref task = make_task(handler, awaitable.get(), task_type, loop);
  const Ref pending = make_pending(handlers, handler, reply);
  static PyObject* const add_name = PyUnicode_InternFromString("add_done_callback");
  own(PyObject_CallMethodOneArg(task.get(), add_name, pending.get()));
  PendingObject* const object = as_pending(pending.get());
  object->task = borrow(task.get()).release();
  object->on_stop.emplace(stop, [object] {
    if (PyObject* const running = object->task.exchange(nullptr)) object->handlers->cancel_later(running);
  });
}

// The next value of an iterator, or null at its end; then `result` is what a generator returned.
Ref next_value(PyObject* iterator, Ref& result) {
  Ref value(Py_TYPE(iterator)->tp_iternext(iterator));
  if (value) return value;
  result = PyErr_Occurred() != nullptr ? stop_value() : none();
  return Ref();
}

}  // namespace

void run_call(Handlers& handlers, const Handler& handler, Request request, const Responder& reply) {
  try {
    check_call(handler, request, nullptr);
    Ref self;
    const Ref result = call_function(handlers, handler, std::move(request), nullptr, self);
    reply(to_response(handlers, result.get()));
  } catch (...) {
    reply.fail(failure_of(handler));
  }
}

void begin_call(Handlers& handlers, const Handler& handler, Request request, const Responder& reply,
                std::shared_ptr<Stream> stream, PyObject* task_type, PyObject* loop, bool shared) {
  try {
    start_task(handlers, handler, std::move(request), reply, std::move(stream), task_type, loop, shared);
  } catch (...) {
    reply.fail(failure_of(handler));
  }
}

Response run_stream(Handlers& handlers, const Handler& handler, Request& request, Stream& stream) {
  const WithGil gil;
  // The stream lives as long as the call, the Request perhaps longer.
  const std::shared_ptr<Stream> shared(std::shared_ptr<void>(), &stream);
  Ref self;
  const auto let_go = [&self] {
    if (self) as_request(self.get())->stream.reset();
  };
  try {
    check_call(handler, request, &stream);
    Ref result = call_function(handlers, handler, std::move(request), shared, self);
    if (PyIter_Check(result.get())) {
      const Ref parts = std::move(result);
      while (const Ref value = next_value(parts.get(), result)) {
        Part part = to_part(handlers, value.get());
        const WithoutGil without_gil;
        stream.write(std::move(part));
      }
    }
    let_go();
    return to_response(handlers, result.get());
  } catch (...) {
    let_go();
    const Failure failure = failure_of(handler);
    throw RemoteError(failure.code, failure.message, failure.data);
  }
}

void add_handler_types(PyObject* module) {
  static PyType_Slot request_slots[] = {{Py_tp_doc, const_cast<char*>("A call, as its handler sees it.")},
                                        {Py_tp_dealloc, reinterpret_cast<void*>(deallocate_request)},
                                        {Py_tp_methods, request_methods},
                                        {Py_tp_getset, request_properties},
                                        {0, nullptr}};
  static PyMemberDef pending_members[] = {{"__vectorcalloffset__", T_PYSSIZET, sizeof(PyObject), READONLY, nullptr},
                                          {}};
  static PyType_Slot pending_slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(deallocate_pending)},
                                        {Py_tp_members, pending_members},
                                        {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                                        {0, nullptr}};
  static PyType_Spec request_spec{"framecall.Request", sizeof(RequestObject), 0, Py_TPFLAGS_DEFAULT | no_constructor,
                                  request_slots};
  static PyType_Spec pending_spec{"framecall._core.Pending", sizeof(PendingObject), 0,
                                  Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | no_constructor, pending_slots};
  response_class = function_of("_response", "Response").release();
  request_type = add_type(module, "Request", request_spec);
  pending_type = add_type(module, "Pending", pending_spec);
}

}  // namespace framecall::python
