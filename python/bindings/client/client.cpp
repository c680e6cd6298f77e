#include "client/client.hpp"

#include <cmath>
#include <memory>
#include <new>
#include <string_view>
#include <utility>
#include <vector>

#include "framecall/client.hpp"
#include "framecall/endpoint.hpp"
#include "json/json_python.hpp"
#include "types/decoder.hpp"
#include "types/gil.hpp"

namespace framecall::python {

// ---- arguments

namespace {

constexpr double max_timeout = 1e9;  // seconds

void write_list(std::string& out, PyObject* const* values, Py_ssize_t count) {
  out += '[';
  for (Py_ssize_t i = 0; i < count; ++i) {
    if (i > 0) out += ", ";
    write_named_value(out, values[i], params_depth + 1, values[i], ("params[" + std::to_string(i) + "]").c_str());
  }
  out += ']';
}

// Which of `names` it is, all of them interned; -1: none.
template <std::size_t count>
int index_of(PyObject* name, PyObject* const (&names)[count]) {
  for (std::size_t i = 0; i < count; ++i) {
    if (name == names[i]) return static_cast<int>(i);
  }
  for (std::size_t i = 0; i < count; ++i) {  // not interned: from a dict that was made at run time
    if (PyUnicode_Compare(name, names[i]) == 0) return static_cast<int>(i);
  }
  return -1;
}

bool is_true(PyObject* value) {
  const int result = PyObject_IsTrue(value);
  if (result < 0) throw PyError();
  return result != 0;
}

}  // namespace

CallArguments::CallArguments(const char* function, PyObject* const* arguments, Py_ssize_t count, PyObject* names,
                             std::string& params) {
  if (count < 1 || !PyUnicode_Check(arguments[0])) {
    raise(PyExc_TypeError, "%s(method, ...): the name of a method has to come first, as a str", function);
  }
  method = text_of(arguments[0]);
  if (count > 1) write_list(params, arguments + 1, count - 1);
  static PyObject* const reserved[] = {PyUnicode_InternFromString("body"), PyUnicode_InternFromString("timeout"),
                                       PyUnicode_InternFromString("metadata")};
  const Py_ssize_t named = names != nullptr ? PyTuple_GET_SIZE(names) : 0;
  bool by_name = false;
  for (Py_ssize_t i = 0; i < named; ++i) {
    PyObject* const name = PyTuple_GET_ITEM(names, i);
    PyObject* const value = arguments[count + i];
    switch (index_of(name, reserved)) {
      case 0: body = value; continue;
      case 1: timeout = value; continue;
      case 2: metadata = value; continue;
      default: break;
    }
    if (count > 1) {
      raise(PyExc_TypeError, "%s(): params are either by place or by name; %R is by name", function, name);
    }
    params += by_name ? ", " : "{";
    by_name = true;
    write_text(params, name);
    params += ": ";
    const Ref path = own(PyUnicode_FromFormat("params[%R]", name));
    write_named_value(params, value, params_depth + 1, value, text_of(path.get()).data());
  }
  if (by_name) params += '}';
}

// By hand: PyArg_ParseTupleAndKeywords() takes as long as the whole rest of a call, the sockets excepted.
RequestArguments::RequestArguments(const char* function, PyObject* const* arguments, Py_ssize_t count, PyObject* names,
                                   std::string& params) {
  static PyObject* const known[] = {PyUnicode_InternFromString("method"),   PyUnicode_InternFromString("params"),
                                    PyUnicode_InternFromString("body"),     PyUnicode_InternFromString("timeout"),
                                    PyUnicode_InternFromString("metadata"), PyUnicode_InternFromString("idempotent"),
                                    PyUnicode_InternFromString("digest"),   PyUnicode_InternFromString("sending")};
  if (count > 2) raise(PyExc_TypeError, "%s() takes at most 2 positional arguments (%zd given)", function, count);
  PyObject* name = count > 0 ? arguments[0] : nullptr;
  PyObject* given = count > 1 ? arguments[1] : nullptr;
  const Py_ssize_t named = names != nullptr ? PyTuple_GET_SIZE(names) : 0;
  for (Py_ssize_t i = 0; i < named; ++i) {
    PyObject* const key = PyTuple_GET_ITEM(names, i);
    PyObject* const value = arguments[count + i];
    const int index = index_of(key, known);
    if (index == 0 || index == 1) {
      PyObject*& place = index == 0 ? name : given;
      if (place != nullptr) raise(PyExc_TypeError, "%s() got multiple values for argument %R", function, key);
      place = value;
      continue;
    }
    switch (index) {
      case 2: body = value; break;
      case 3: timeout = value; break;
      case 4: metadata = value; break;
      case 5: idempotent = is_true(value); break;
      case 6: digest = is_true(value); break;
      case 7: sending = is_true(value); break;
      default: raise(PyExc_TypeError, "%s() got an unexpected keyword argument %R", function, key);
    }
  }
  if (name == nullptr) raise(PyExc_TypeError, "%s() missing required argument 'method' (pos 1)", function);
  if (!PyUnicode_Check(name)) {
    raise(PyExc_TypeError, "%s() argument 1 must be str, not %.100s", function, Py_TYPE(name)->tp_name);
  }
  method = text_of(name);
  write_params(params, given);
}

void write_named_value(std::string& out, PyObject* value, int depth, PyObject* whole, const char* path) {
  try {
    write_value(out, value, depth);
  } catch (const PyError&) {
    if (!PyErr_ExceptionMatches(PyExc_TypeError)) throw;
    PyObject *type = nullptr, *error = nullptr, *trace = nullptr;
    PyErr_Fetch(&type, &error, &trace);
    PyErr_NormalizeException(&type, &error, &trace);
    const Ref kept_type(type), kept_error(error), kept_trace(trace);
    const Ref name_path = function_of("_errors", "name_path");
    const Ref named = own(PyObject_CallFunction(name_path.get(), "OsO", whole, path, error));
    PyErr_SetObject(PyExc_TypeError, named.get());
    throw;
  }
}

void write_params(std::string& out, PyObject* params) {
  if (params == nullptr || params == Py_None) return;
  if (!PyList_Check(params) && !PyTuple_Check(params) && !PyDict_Check(params)) {
    raise(PyExc_TypeError, "params must be a list, a tuple, a dict or None, not %.100s", Py_TYPE(params)->tp_name);
  }
  write_named_value(out, params, params_depth, params, "params");
}

std::chrono::milliseconds to_timeout(PyObject* seconds) {
  if (seconds == nullptr || seconds == Py_None) return std::chrono::milliseconds(0);
  const double value = PyFloat_AsDouble(seconds);
  if (value == -1 && PyErr_Occurred() != nullptr) throw PyError();
  if (!(value > 0 && value <= max_timeout)) {
    raise(PyExc_ValueError, "timeout: above 0 and at most 1e9 seconds, not %R", seconds);
  }
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::ceil(value * 1000)));
}

CallOptions make_options(PyObject* timeout, PyObject* metadata, const std::string& layout) {
  CallOptions options;
  options.timeout = to_timeout(timeout);
  options.layout = layout;
  if (metadata != nullptr && metadata != Py_None) {
    std::string text;
    write_named_value(text, metadata, params_depth, metadata, "metadata");
    options.metadata = parse_json(text);
  }
  return options;
}

ClientArguments::ClientArguments(PyObject* arguments, PyObject* named, const char* format) {
  static const char* names[] = {"address",  "timeout",    "attempts", "backoff", "max_backoff",
                                "max_idle", "max_header", "max_body", "dialect", nullptr};
  PyObject *timeout = nullptr, *backoff = nullptr, *max_backoff = nullptr, *dialect = nullptr;
  Py_ssize_t attempts = options.attempts, max_idle = static_cast<Py_ssize_t>(options.max_idle),
             max_header = options.max_header;
  long long max_body = static_cast<long long>(options.max_body);
  if (PyArg_ParseTupleAndKeywords(arguments, named, format, const_cast<char**>(names), &address, &timeout, &attempts,
                                  &backoff, &max_backoff, &max_idle, &max_header, &max_body, &dialect) == 0) {
    throw PyError();
  }
  const auto in_range = [](const char* name, long long value, long long least, long long most) {
    if (value < least || value > most) {
      raise(PyExc_ValueError, "%s: %lld .. %lld, not %lld", name, least, most, value);
    }
    return value;
  };
  if (timeout != nullptr && timeout != Py_None) options.timeout = to_timeout(timeout);
  if (timeout == Py_None) options.timeout = std::chrono::milliseconds(static_cast<std::int64_t>(max_timeout * 1000));
  options.attempts = static_cast<unsigned>(in_range("attempts", attempts, 1, 1000));
  if (backoff != nullptr) options.backoff = to_timeout(backoff);
  if (max_backoff != nullptr) options.max_backoff = to_timeout(max_backoff);
  options.max_idle = static_cast<std::size_t>(in_range("max_idle", max_idle, 0, 100000));
  options.max_header = static_cast<std::uint32_t>(in_range("max_header", max_header, 2, (1 << 24) - 1));
  options.max_body = static_cast<std::uint64_t>(in_range("max_body", max_body, 0, INT64_MAX));
  if (dialect != nullptr) options.dialect = dialect_of_calls(dialect);
  options.check = run_signal_handlers;
}

// ---- Client

namespace {

struct ClientObject {
  PyObject head;
  std::shared_ptr<Client> client;
};

PyTypeObject* pipeline_type = nullptr;
PyTypeObject* stream_type = nullptr;

// None of these functions is entered with a client that is missing: __init__ was not called.
Client& client_of(PyObject* self) {
  Client* const client = reinterpret_cast<ClientObject*>(self)->client.get();
  if (client == nullptr) raise(PyExc_ValueError, "this Client was not initialised: call super().__init__(address)");
  return *client;
}

PyObject* new_client(PyTypeObject* type, PyObject*, PyObject*) {
  PyObject* const self = type->tp_alloc(type, 0);
  if (self != nullptr) new (&reinterpret_cast<ClientObject*>(self)->client) std::shared_ptr<Client>();
  return self;
}

void deallocate_client(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  std::destroy_at(&reinterpret_cast<ClientObject*>(self)->client);
  type->tp_free(self);
  Py_DECREF(type);
}

std::vector<Endpoint> to_endpoints(PyObject* address) {
  if (PyUnicode_Check(address)) return {Endpoint::parse(text_of(address))};
  const Ref items = own(PySequence_Fast(address, "address: a str, or a list of them"));
  std::vector<Endpoint> endpoints;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items.get()); ++i) {
    endpoints.push_back(Endpoint::parse(text_of(PySequence_Fast_GET_ITEM(items.get(), i))));
  }
  return endpoints;
}

int init_client(PyObject* self, PyObject* arguments, PyObject* named) {
  const Ref done(guard([&] {
    ClientArguments given(arguments, named, "O|$OnOOnnLO:Client");
    reinterpret_cast<ClientObject*>(self)->client =
        std::make_shared<Client>(to_endpoints(given.address), std::move(given.options));
    return none();
  }));
  return done ? 0 : -1;
}

// The params of a call, its options and its body: held while the GIL is given back.
struct Prepared {
  Scratch params;
  std::string_view method;
  std::optional<OutBody> body;
  CallOptions options;

 protected:
  Prepared() = default;
  template <class Arguments>
  void take(const Arguments& given) {
    method = given.method;
    body.emplace(given.body);
    options = make_options(given.timeout, given.metadata, body->layout());
  }
};

struct PreparedCall : Prepared {
  PreparedCall(const char* function, PyObject* const* arguments, Py_ssize_t count, PyObject* names) {
    take(CallArguments(function, arguments, count, names, params.text));
  }
};

struct PreparedRequest : Prepared {
  PreparedRequest(const char* function, PyObject* const* arguments, Py_ssize_t count, PyObject* names) {
    const RequestArguments given(function, arguments, count, names, params.text);
    take(given);
    options.idempotent = given.idempotent;
    options.digest = given.digest;
    options.more = given.sending;
  }
};

Response send_request(Client& client, const Prepared& call) {
  const WithoutGil without_gil;
  return client.request_text(call.method, call.params.text, call.body->view(), call.options);
}

PyObject* client_call(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* names) {
  return guard([&] {
    const PreparedCall call("call", arguments, count, names);
    return plain_value(send_request(client_of(self), call));
  });
}

PyObject* client_request(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* names) {
  return guard([&] {
    const PreparedRequest call("request", arguments, count, names);
    if (call.options.more) raise(PyExc_TypeError, "request() sends one frame: parts are for stream()");
    return make_reply(send_request(client_of(self), call));
  });
}

PyObject* client_notify(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* names) {
  return guard([&] {
    const PreparedCall call("notify", arguments, count, names);
    Client& client = client_of(self);
    {
      const WithoutGil without_gil;
      client.notify_text(call.method, call.params.text, call.body->view(), call.options);
    }
    return none();
  });
}

PyObject* client_close(PyObject* self, PyObject*) {
  return guard([&] {
    if (const auto& client = reinterpret_cast<ClientObject*>(self)->client) client->close();
    return none();
  });
}

PyObject* return_self(PyObject* self, PyObject*) { return borrow(self).release(); }

// ---- Pipeline

struct PipelineObject {
  PyObject head;
  std::shared_ptr<Client> client;
  std::optional<Pipeline> pipeline;
};

PyObject* client_pipeline(PyObject* self, PyObject*) {
  return guard([&] {
    Client& client = client_of(self);
    Ref made = own(pipeline_type->tp_alloc(pipeline_type, 0));
    auto* const object = reinterpret_cast<PipelineObject*>(made.get());
    new (&object->client) std::shared_ptr<Client>(reinterpret_cast<ClientObject*>(self)->client);
    new (&object->pipeline) std::optional<Pipeline>(client.pipeline());
    return made;
  });
}

void deallocate_pipeline(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  std::destroy_at(&reinterpret_cast<PipelineObject*>(self)->pipeline);
  std::destroy_at(&reinterpret_cast<PipelineObject*>(self)->client);
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* pipeline_call(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* names) {
  return guard([&] {
    const PreparedCall call("call", arguments, count, names);
    if (call.options.timeout.count() != 0) {
      raise(PyExc_TypeError, "call(): a pipeline has one timeout, the one of execute()");
    }
    Pipeline& pipeline = *reinterpret_cast<PipelineObject*>(self)->pipeline;
    pipeline.add_text(call.method, call.params.text, call.body->view(), call.options);
    return own(PyLong_FromSize_t(pipeline.size() - 1));
  });
}

// The exception as an object, instead of one that is set.
Ref exception_object(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (...) {
    set_python_error();
  }
  PyObject *type = nullptr, *value = nullptr, *trace = nullptr;
  PyErr_Fetch(&type, &value, &trace);
  PyErr_NormalizeException(&type, &value, &trace);
  Py_XDECREF(type);
  Py_XDECREF(trace);
  return own(value);
}

PyObject* pipeline_execute(PyObject* self, PyObject* arguments, PyObject* named) {
  return guard([&] {
    static const char* names[] = {"timeout", "idempotent", "return_errors", nullptr};
    PyObject* timeout = nullptr;
    int idempotent = 0, return_errors = 0;
    if (PyArg_ParseTupleAndKeywords(arguments, named, "|$Opp:execute", const_cast<char**>(names), &timeout, &idempotent,
                                    &return_errors) == 0) {
      throw PyError();
    }
    CallOptions options;
    options.timeout = to_timeout(timeout);
    options.idempotent = idempotent != 0;
    // Taken out, so that another thread may add to the next batch meanwhile.
    auto* const object = reinterpret_cast<PipelineObject*>(self);
    Pipeline pipeline = std::move(*object->pipeline);
    object->pipeline.emplace(object->client->pipeline());
    std::vector<Pipeline::Outcome> outcomes;
    {
      const WithoutGil without_gil;
      outcomes = pipeline.run(options);
    }
    const Ref list = own(PyList_New(static_cast<Py_ssize_t>(outcomes.size())));
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      if (outcomes[i].error && return_errors == 0) std::rethrow_exception(outcomes[i].error);
      Ref value =
          outcomes[i].error ? exception_object(outcomes[i].error) : plain_value(std::move(outcomes[i].response));
      PyList_SET_ITEM(list.get(), static_cast<Py_ssize_t>(i), value.release());
    }
    return borrow(list.get());
  });
}

Py_ssize_t pipeline_size(PyObject* self) {
  return static_cast<Py_ssize_t>(reinterpret_cast<PipelineObject*>(self)->pipeline->size());
}

// ---- Stream

struct StreamObject {
  PyObject head;
  std::shared_ptr<Client> client;
  std::shared_ptr<ClientStream> stream;  // none: closed
  bool cancelled;
};

PyObject* client_stream(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* names) {
  return guard([&] {
    const PreparedRequest call("stream", arguments, count, names);
    Client& client = client_of(self);
    std::shared_ptr<ClientStream> stream;
    {
      const WithoutGil without_gil;
      stream = std::make_shared<ClientStream>(
          client.stream_text(call.method, call.params.text, call.body->view(), call.options));
    }
    Ref made = own(stream_type->tp_alloc(stream_type, 0));
    auto* const object = reinterpret_cast<StreamObject*>(made.get());
    new (&object->client) std::shared_ptr<Client>(reinterpret_cast<ClientObject*>(self)->client);
    new (&object->stream) std::shared_ptr<ClientStream>(std::move(stream));
    return made;
  });
}

void deallocate_stream(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  std::destroy_at(&reinterpret_cast<StreamObject*>(self)->stream);
  std::destroy_at(&reinterpret_cast<StreamObject*>(self)->client);
  type->tp_free(self);
  Py_DECREF(type);
}

std::shared_ptr<ClientStream> open_stream(PyObject* self) {
  const auto& stream = reinterpret_cast<StreamObject*>(self)->stream;
  if (!stream) raise(PyExc_ValueError, "this stream is closed");
  return stream;
}

PyObject* stream_next(PyObject* self) {
  return guard([&] {
    auto* const object = reinterpret_cast<StreamObject*>(self);
    if (!object->stream || object->cancelled) return Ref();  // no more parts
    const auto stream = object->stream;
    Part part;
    bool there = false;
    {
      const WithoutGil without_gil;
      there = stream->read(part);
    }
    return there ? make_part(std::move(part)) : Ref();
  });
}

PyObject* stream_send(PyObject* self, PyObject* arguments, PyObject* named) {
  return guard([&] {
    static const char* names[] = {"value", "body", nullptr};
    PyObject *value = Py_None, *given = nullptr;
    if (PyArg_ParseTupleAndKeywords(arguments, named, "|O$O:send", const_cast<char**>(names), &value, &given) == 0) {
      throw PyError();
    }
    const auto stream = open_stream(self);
    const OutBody body(given);
    Part part;
    part.value.clear();
    write_named_value(part.value, value, params_depth, value, "value");
    part.layout = body.layout();
    part.body = Buffer(body.view(), std::make_shared<int>());  // held by `body` until it is sent
    bool wanted = false;
    {
      const WithoutGil without_gil;
      wanted = stream->write_unchecked(part);
    }
    return own(PyBool_FromLong(wanted ? 1 : 0));
  });
}

PyObject* stream_finish_sending(PyObject* self, PyObject*) {
  return guard([&] {
    const auto stream = open_stream(self);
    {
      const WithoutGil without_gil;
      stream->finish_writing();
    }
    return none();
  });
}

PyObject* stream_cancel(PyObject* self, PyObject*) {
  return guard([&] {
    const auto stream = open_stream(self);
    reinterpret_cast<StreamObject*>(self)->cancelled = true;
    {
      const WithoutGil without_gil;
      stream->cancel();
    }
    return none();
  });
}

PyObject* stream_metadata(PyObject* self, void*) {
  return guard([&] {
    const std::string& text = open_stream(self)->metadata();
    return text.empty() ? own(PyDict_New()) : read_value(text);
  });
}

PyObject* stream_close(PyObject* self, PyObject*) {
  return guard([&] {
    reinterpret_cast<StreamObject*>(self)->stream.reset();
    return none();
  });
}

// ---- the types

PyMethodDef client_methods[] = {
    {"call", as_method(client_call), METH_FASTCALL | METH_KEYWORDS,
     "call($self, method, /, *args, body=None, timeout=None, metadata=None, **params)\n--\n\n"
     "Calls a method, with params by place or by name, and returns its result. A body is anything with the buffer\n"
     "protocol, a NumPy array, or a dict of arrays; it is not copied unless it is not contiguous. Where the result is\n"
     "null and the reply has a body, the body is returned: the array or the arrays that were sent, else a memoryview.\n"
     "`timeout`: seconds for this call, which the server is told, too; None: the client's. `metadata`: a dict of "
     "strings.\n"
     "Params that are called as these three: see request().\n"
     "Raises RemoteError, UnavailableError, TimeoutError and other OSErrors, ProtocolError; TypeError for what has no\n"
     "JSON, with the path to it.\n"},
    {"request", as_method(client_request), METH_FASTCALL | METH_KEYWORDS,
     "request($self, method, params=None, *, body=None, timeout=None, metadata=None, idempotent=False, digest=False)\n"
     "--\n\n"
     "As call(), with the params as one list, tuple or dict, and everything that the server answers as a Reply.\n"
     "`idempotent`: may be sent once more when the connection breaks under it. `digest`: sends the SHA-256 of the "
     "body\n"
     "along, which the server checks.\n"},
    {"notify", as_method(client_notify), METH_FASTCALL | METH_KEYWORDS,
     "notify($self, method, /, *args, body=None, timeout=None, metadata=None, **params)\n--\n\n"
     "As call(), but no answer is awaited, and none will come: whether it arrived is not known.\n"},
    {"pipeline", client_pipeline, METH_NOARGS,
     "pipeline($self, /)\n--\n\n"
     "Many calls in one go, without waiting for the answer to each: see Pipeline.\n"},
    {"stream", as_method(client_stream), METH_FASTCALL | METH_KEYWORDS,
     "stream($self, method, params=None, *, body=None, timeout=None, metadata=None, idempotent=False, digest=False, "
     "sending=False)\n--\n\n"
     "Begins a call that is answered part by part, on a connection of its own: iterate over it. `sending`: parts go "
     "the\n"
     "other way, too, see Stream.send(). `timeout` counts for all of it; None: the client's, for each part.\n"},
    {"close", client_close, METH_NOARGS,
     "close($self, /)\n--\n\n"
     "Closes the connections that no call uses. May be called again; a call afterwards raises ValueError.\n"},
    {}};

PyMethodDef pipeline_methods[] = {
    {"call", as_method(pipeline_call), METH_FASTCALL | METH_KEYWORDS,
     "call($self, method, /, *args, body=None, metadata=None, **params)\n--\n\n"
     "One more, as Client.call(); the body is copied. Returns its place in the list of results.\n"},
    {"execute", as_method(pipeline_execute), METH_VARARGS | METH_KEYWORDS,
     "execute($self, *, timeout=None, idempotent=False, return_errors=False)\n--\n\n"
     "Sends all and waits for all; the results are in the order of the calls, each as Client.call() returns it. "
     "Raises\n"
     "the first error of a call, or, with `return_errors`, puts errors into the list. Empty afterwards.\n"},
    {"__enter__", return_self, METH_NOARGS, "__enter__($self, /)\n--\n\n"},
    {"__exit__", as_method(+[](PyObject*, PyObject*) { return none().release(); }), METH_VARARGS,
     "__exit__($self, /, *args)\n--\n\nDrops calls that were not executed.\n"},
    {}};

PyMethodDef stream_methods[] = {
    {"send", as_method(stream_send), METH_VARARGS | METH_KEYWORDS,
     "send($self, value=None, *, body=None)\n--\n\n"
     "Sends a part; only with `sending`, and before finish_sending(): ValueError. False: the server has answered "
     "already\n"
     "and takes no more; iterating returns the answer.\n"},
    {"finish_sending", stream_finish_sending, METH_NOARGS,
     "finish_sending($self, /)\n--\n\nNo more parts will be sent.\n"},
    {"cancel", stream_cancel, METH_NOARGS,
     "cancel($self, /)\n--\n\n"
     "Cancels the call. Iterating then ends, and send() raises ValueError.\n"},
    {"close", stream_close, METH_NOARGS,
     "close($self, /)\n--\n\n"
     "Cancels a call that has not ended, and closes its connection. So does the garbage collector.\n"},
    {"__enter__", return_self, METH_NOARGS, "__enter__($self, /)\n--\n\n"},
    {"__exit__", stream_close, METH_VARARGS, "__exit__($self, /, *args)\n--\n\n"},
    {}};

PyGetSetDef stream_properties[] = {{"metadata", stream_metadata, nullptr,
                                    "Behind the last part: the metadata of the reply, a dict of strings.", nullptr},
                                   {}};

PyType_Slot client_slots[] = {
    {Py_tp_doc,
     const_cast<char*>("Client(address, *, timeout=30.0, attempts=3, backoff=0.05, max_backoff=2.0, max_idle=16, "
                       "max_header=1048576, max_body=1073741824, dialect=\"default\")\n--\n\n"
                       "The compiled part of framecall.Client.\n")},
    {Py_tp_new, reinterpret_cast<void*>(new_client)},
    {Py_tp_init, reinterpret_cast<void*>(init_client)},
    {Py_tp_dealloc, reinterpret_cast<void*>(deallocate_client)},
    {Py_tp_methods, client_methods},
    {0, nullptr}};
PyType_Slot pipeline_slots[] = {
    {Py_tp_doc, const_cast<char*>("Calls that are sent together over one connection. One thread at a time.")},
    {Py_tp_dealloc, reinterpret_cast<void*>(deallocate_pipeline)},
    {Py_tp_methods, pipeline_methods},
    {Py_sq_length, reinterpret_cast<void*>(pipeline_size)},
    {0, nullptr}};
PyType_Slot stream_slots[] = {
    {Py_tp_doc, const_cast<char*>("One streamed call: an iterator over the parts of its reply. One thread at a time.")},
    {Py_tp_dealloc, reinterpret_cast<void*>(deallocate_stream)},
    {Py_tp_methods, stream_methods},
    {Py_tp_getset, stream_properties},
    {Py_tp_iter, reinterpret_cast<void*>(+[](PyObject* self) { return borrow(self).release(); })},
    {Py_tp_iternext, reinterpret_cast<void*>(stream_next)},
    {0, nullptr}};

PyType_Spec client_spec{"framecall._core.Client", sizeof(ClientObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                        client_slots};
PyType_Spec pipeline_spec{"framecall.Pipeline", sizeof(PipelineObject), 0, Py_TPFLAGS_DEFAULT | no_constructor,
                          pipeline_slots};
PyType_Spec stream_spec{"framecall.Stream", sizeof(StreamObject), 0, Py_TPFLAGS_DEFAULT | no_constructor, stream_slots};

}  // namespace

void add_client(PyObject* module) {
  add_type(module, "Client", client_spec);
  pipeline_type = add_type(module, "Pipeline", pipeline_spec);
  stream_type = add_type(module, "Stream", stream_spec);
}

}  // namespace framecall::python
