#include "client/plain_clients.hpp"

#include <atomic>
#include <chrono>
#include <cmath>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "framecall/raw_client.hpp"
#include "framecall/udp_client.hpp"
#include "types/gil.hpp"

namespace framecall::python {
namespace {

template <class Client>
constexpr const char* type_name = nullptr;
template <>
constexpr const char* type_name<RawClient> = "RawClient";
template <>
constexpr const char* type_name<UdpClient> = "UdpClient";

constexpr double largest_timeout = 1e9;  // seconds

// What an object and the calls on it share: close() in one thread leaves the socket to a call that waits in another
// until that has noticed. Its number could otherwise become a new file's meanwhile.
template <class Client>
struct State {
  std::optional<Client> client;
  std::string address;
  std::atomic<bool> closed = false;
};

template <class Client>
struct Object {
  PyObject head;
  std::shared_ptr<State<Client>> state;  // none: closed, or not open yet
};

template <class Client>
[[noreturn]] void refuse_closed() {
  throw std::invalid_argument(std::string("this ").append(type_name<Client>).append(" is closed"));
}

template <class Client>
std::shared_ptr<State<Client>>& state_of(PyObject* self) {
  return reinterpret_cast<Object<Client>*>(self)->state;
}

template <class Client>
std::shared_ptr<State<Client>> open_state(PyObject* self) {
  std::shared_ptr<State<Client>> state = state_of<Client>(self);
  if (!state) refuse_closed<Client>();
  return state;
}

/// `call(client)` without the GIL.
template <class Client, class Call>
auto blocking(PyObject* self, Call call) {
  const auto state = open_state<Client>(self);
  const WithoutGil without_gil;
  return call(*state->client);
}

Ref text_to_bytes(std::string_view text) {
  return own(PyBytes_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size())));
}

Ref none() { return borrow(Py_None); }

// Where to, and for how long: (address, *, timeout=...).
struct Target {
  Target(PyObject* arguments, PyObject* named, const char* format, double timeout_seconds) {
    static char address_name[] = "address", timeout_name[] = "timeout";
    static char* names[] = {address_name, timeout_name, nullptr};
    PyObject* address = nullptr;
    if (PyArg_ParseTupleAndKeywords(arguments, named, format, names, &address, &timeout_seconds) == 0) throw PyError();
    Py_ssize_t size = 0;
    const char* const text = PyUnicode_AsUTF8AndSize(address, &size);
    if (text == nullptr) throw PyError();
    if (!(timeout_seconds >= 0 && timeout_seconds <= largest_timeout)) {
      const Ref value = own(PyFloat_FromDouble(timeout_seconds));
      raise(PyExc_ValueError, "timeout: 0 .. 1e9 seconds, not %R", value.get());
    }
    endpoint = Endpoint::parse({text, static_cast<std::size_t>(size)});
    timeout = std::chrono::milliseconds(static_cast<std::int64_t>(std::ceil(timeout_seconds * 1000)));
  }

  Endpoint endpoint;
  std::chrono::milliseconds timeout{};
};

// ---- what both types have

template <class Client>
std::shared_ptr<State<Client>> new_state(const Target& target) {
  const auto state = std::make_shared<State<Client>>();
  state->address = target.endpoint.to_string();
  return state;
}

template <class Client>
std::function<void()> check_of(State<Client>& state) {
  return [&state] {
    if (state.closed) refuse_closed<Client>();
    run_signal_handlers();
  };
}

template <class Client>
PyObject* make(PyTypeObject* type, PyObject*, PyObject*) {
  PyObject* const self = type->tp_alloc(type, 0);
  if (self != nullptr) new (&state_of<Client>(self)) std::shared_ptr<State<Client>>();
  return self;
}

template <class Client>
void deallocate(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  std::destroy_at(&state_of<Client>(self));
  type->tp_free(self);
  Py_DECREF(type);
}

template <class Client>
void close_state(PyObject* self) {
  const auto state = std::exchange(state_of<Client>(self), nullptr);
  if (state) state->closed = true;
}

template <class Client>
int initialize(PyObject* self, PyObject* arguments, PyObject* named, const char* format, double timeout) {
  const Ref done(guard([&] {
    const Target target(arguments, named, format, timeout);
    const auto state = new_state<Client>(target);
    {
      const WithoutGil without_gil;
      state->client.emplace(target.endpoint, target.timeout, check_of(*state));
    }
    close_state<Client>(self);
    state_of<Client>(self) = state;
    return none();
  }));
  return done ? 0 : -1;
}

template <class Client>
PyObject* close(PyObject* self, PyObject*) {
  return guard([&] {
    close_state<Client>(self);
    return none();
  });
}

template <class Client>
PyObject* enter(PyObject* self, PyObject*) {
  return guard([&] {
    open_state<Client>(self);
    return borrow(self);
  });
}

template <class Client>
PyObject* send(PyObject* self, PyObject* data) {
  return guard([&] {
    const BytesLike bytes(data);
    blocking<Client>(self, [&](Client& client) { client.send({bytes.data(), bytes.size()}); });
    return none();
  });
}

Ref address_text(const Endpoint& endpoint) {
  const bool nameless = endpoint.host.empty() && endpoint.path.empty();
  const std::string text = nameless ? "unix:" : endpoint.to_string();
  return own(PyUnicode_DecodeFSDefaultAndSize(text.data(), static_cast<Py_ssize_t>(text.size())));
}

template <class Client>
PyObject* peer(PyObject* self, void*) {
  return guard([&] { return address_text(open_state<Client>(self)->client->peer()); });
}

template <class Client>
PyObject* local(PyObject* self, void*) {
  return guard([&] { return address_text(open_state<Client>(self)->client->local()); });
}

template <class Client>
PyObject* represent(PyObject* self) {
  const auto& state = state_of<Client>(self);
  if (!state) return PyUnicode_FromFormat("<framecall.%s, closed>", type_name<Client>);
  return PyUnicode_FromFormat("<framecall.%s to %s>", type_name<Client>, state->address.c_str());
}

// ---- RawClient

int init_raw(PyObject* self, PyObject* arguments, PyObject* named) {
  return initialize<RawClient>(self, arguments, named, "U|$d:RawClient", 30.0);
}

PyObject* raw_try_connect(PyObject* type, PyObject* arguments, PyObject* named) {
  return guard([&] {
    const Target target(arguments, named, "U|$d:try_connect", 30.0);
    const auto state = new_state<RawClient>(target);
    int result = 0;
    {
      const WithoutGil without_gil;
      result = RawClient::try_connect(target.endpoint, state->client, target.timeout, check_of(*state));
    }
    if (result != 0) return own(Py_BuildValue("(iO)", result, Py_None));
    Ref client = own(make<RawClient>(reinterpret_cast<PyTypeObject*>(type), nullptr, nullptr));
    state_of<RawClient>(client.get()) = state;
    return own(Py_BuildValue("(iO)", 0, client.get()));
  });
}

PyObject* raw_send_some(PyObject* self, PyObject* data) {
  return guard([&] {
    const BytesLike bytes(data);
    const std::string_view view(bytes.data(), bytes.size());
    return own(PyLong_FromSize_t(blocking<RawClient>(self, [&](RawClient& client) { return client.send_some(view); })));
  });
}

PyObject* raw_receive(PyObject* self, PyObject* arguments, PyObject* named) {
  return guard([&] {
    static char size_name[] = "max_size";
    static char* names[] = {size_name, nullptr};
    Py_ssize_t size = 1024;
    if (PyArg_ParseTupleAndKeywords(arguments, named, "|n:receive", names, &size) == 0) throw PyError();
    if (size < 1) raise(PyExc_ValueError, "max_size: at least 1, not %zd", size);
    return text_to_bytes(
        blocking<RawClient>(self, [&](RawClient& client) { return client.receive(static_cast<std::size_t>(size)); }));
  });
}

PyObject* raw_finish_sending(PyObject* self, PyObject*) {
  return guard([&] {
    open_state<RawClient>(self)->client->finish_sending();
    return none();
  });
}

PyObject* raw_option(PyObject* self, PyObject* arguments) {
  return guard([&] {
    int level = 0, name = 0;
    if (PyArg_ParseTuple(arguments, "ii:option", &level, &name) == 0) throw PyError();
    return own(PyLong_FromLong(open_state<RawClient>(self)->client->option(level, name)));
  });
}

PyObject* raw_set_option(PyObject* self, PyObject* arguments) {
  return guard([&] {
    int level = 0, name = 0, value = 0;
    if (PyArg_ParseTuple(arguments, "iii:set_option", &level, &name, &value) == 0) throw PyError();
    open_state<RawClient>(self)->client->set_option(level, name, value);
    return none();
  });
}

PyObject* raw_fileno(PyObject* self, PyObject*) {
  return guard([&] { return own(PyLong_FromLong(open_state<RawClient>(self)->client->descriptor())); });
}

PyCFunction with_names(PyCFunctionWithKeywords function) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

PyMethodDef raw_methods[] = {
    {"try_connect", with_names(raw_try_connect), METH_VARARGS | METH_KEYWORDS | METH_CLASS,
     "try_connect($type, address, *, timeout=30.0)\n--\n\n"
     "`connect_ex`: (0, client), or (errno, None) instead of an OSError; ENOENT for a host that is not known.\n"},
    {"send_some", raw_send_some, METH_O,
     "send_some($self, data, /)\n--\n\n"
     "`send`: how many bytes the system took, at least 1 unless `data` is empty.\n"},
    {"send", send<RawClient>, METH_O,
     "send($self, data, /)\n--\n\n"
     "`sendall`: all bytes, or an OSError; how many went out before it is then not known.\n"},
    {"receive", with_names(raw_receive), METH_VARARGS | METH_KEYWORDS,
     "receive($self, /, max_size=1024)\n--\n\n"
     "`recv`: what there is, at most `max_size` bytes (and at most 1 MiB), waiting for the first one. b\"\" when the "
     "peer\nhas ended its side.\n"},
    {"finish_sending", raw_finish_sending, METH_NOARGS,
     "finish_sending($self, /)\n--\n\n"
     "`shutdown(SHUT_WR)`: we have said all. What the peer says can still be received.\n"},
    {"option", raw_option, METH_VARARGS,
     "option($self, level, name, /)\n--\n\n"
     "`getsockopt` of an option that is an int: option(socket.SOL_SOCKET, socket.SO_RCVBUF).\n"},
    {"set_option", raw_set_option, METH_VARARGS,
     "set_option($self, level, name, value, /)\n--\n\n"
     "`setsockopt` of an option that is an int.\n"},
    {"fileno", raw_fileno, METH_NOARGS,
     "fileno($self, /)\n--\n\n"
     "The socket's number, for `select` and its like. It stays this object's.\n"},
    {"close", close<RawClient>, METH_NOARGS,
     "close($self, /)\n--\n\n"
     "Ends the connection. May be called again; everything else then raises ValueError, also a call that waits in\n"
     "another thread.\n"},
    {"__enter__", enter<RawClient>, METH_NOARGS, "__enter__($self, /)\n--\n\n"},
    {"__exit__", close<RawClient>, METH_VARARGS, "__exit__($self, /, *args)\n--\n\n"},
    {}};

PyGetSetDef raw_properties[] = {{"peer", peer<RawClient>, nullptr, "`getpeername`, \"host:port\".", nullptr},
                                {"local", local<RawClient>, nullptr, "`getsockname`, \"host:port\".", nullptr},
                                {}};

constexpr const char* raw_documentation =
    "RawClient(address, *, timeout=30.0)\n--\n\n"
    "Plain bytes over one TCP connection, or a Unix one: `address` is \"HOST:PORT\", \"[IPV6]:PORT\" or "
    "\"unix:PATH\".\n"
    "Connects at once. Every call takes at most `timeout` seconds, then raises TimeoutError; other network errors are\n"
    "OSError too. Ctrl-C ends a call that waits. For one thread, or for one that sends and one that receives.\n"
    "\n"
    ">>> import socket\n"
    ">>> listener = socket.create_server((\"127.0.0.1\", 0))\n"
    ">>> with framecall.RawClient(f\"127.0.0.1:{listener.getsockname()[1]}\") as client:\n"
    "...     connection, _ = listener.accept()\n"
    "...     connection.sendall(b\"hello\")\n"
    "...     client.receive()\n"
    "b'hello'\n"
    ">>> client.receive()\n"
    "Traceback (most recent call last):\n"
    "  ...\n"
    "ValueError: this RawClient is closed\n"
    ">>> connection.close()\n"
    ">>> listener.close()\n";

// ---- UdpClient

int init_udp(PyObject* self, PyObject* arguments, PyObject* named) {
  return initialize<UdpClient>(self, arguments, named, "U|$d:UdpClient", 5.0);
}

Ref bytes_or_none(const std::optional<std::string>& datagram) { return datagram ? text_to_bytes(*datagram) : none(); }

PyObject* udp_request(PyObject* self, PyObject* data) {
  return guard([&] {
    const BytesLike bytes(data);
    const std::string_view view(bytes.data(), bytes.size());
    return bytes_or_none(blocking<UdpClient>(self, [&](UdpClient& client) { return client.request(view); }));
  });
}

PyObject* udp_receive(PyObject* self, PyObject*) {
  return guard(
      [&] { return bytes_or_none(blocking<UdpClient>(self, [](UdpClient& client) { return client.receive(); })); });
}

PyMethodDef udp_methods[] = {
    {"request", udp_request, METH_O,
     "request($self, data, /)\n--\n\n"
     "One datagram out, one back; None when none came within the timeout. Replies that are waiting are dropped just\n"
     "before, so that a server that answers too often does no harm. Which request a reply belongs to, only its "
     "content\n"
     "can tell.\n"},
    {"send", send<UdpClient>, METH_O,
     "send($self, data, /)\n--\n\n"
     "`sendto`: one datagram, empty ones too. ValueError for more than 65,507 bytes.\n"},
    {"receive", udp_receive, METH_NOARGS,
     "receive($self, /)\n--\n\n"
     "`recvfrom`: the next datagram of the server, None when none came within the timeout.\n"},
    {"close", close<UdpClient>, METH_NOARGS,
     "close($self, /)\n--\n\n"
     "May be called again; everything else then raises ValueError, also a call that waits in another thread.\n"},
    {"__enter__", enter<UdpClient>, METH_NOARGS, "__enter__($self, /)\n--\n\n"},
    {"__exit__", close<UdpClient>, METH_VARARGS, "__exit__($self, /, *args)\n--\n\n"},
    {}};

PyGetSetDef udp_properties[] = {{"peer", peer<UdpClient>, nullptr, "`getpeername`, \"host:port\".", nullptr},
                                {"local", local<UdpClient>, nullptr, "`getsockname`, \"host:port\".", nullptr},
                                {}};

constexpr const char* udp_documentation =
    "UdpClient(address, *, timeout=5.0)\n--\n\n"
    "Datagrams to and from one server, \"HOST:PORT\" or \"[IPV6]:PORT\". UDP reports nothing reliably: a server that "
    "is\n"
    "not there is a reply that does not come. Ctrl-C ends a call that waits. Not for two threads at once.\n"
    "\n"
    ">>> import socket\n"
    ">>> server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
    ">>> server.bind((\"127.0.0.1\", 0))\n"
    ">>> with framecall.UdpClient(f\"127.0.0.1:{server.getsockname()[1]}\") as client:\n"
    "...     client.send(b\"hello\")\n"
    "...     data, address = server.recvfrom(1024)\n"
    "...     address_is_ours = client.local == f\"{address[0]}:{address[1]}\"\n"
    "...     _ = server.sendto(data.upper(), address)\n"
    "...     client.receive(), address_is_ours\n"
    "(b'HELLO', True)\n"
    ">>> server.close()\n";

template <class Client>
void add_type(PyObject* module, const char* name, initproc init, PyMethodDef* methods, PyGetSetDef* properties,
              const char* documentation) {
  PyType_Slot slots[] = {{Py_tp_new, reinterpret_cast<void*>(make<Client>)},
                         {Py_tp_init, reinterpret_cast<void*>(init)},
                         {Py_tp_dealloc, reinterpret_cast<void*>(deallocate<Client>)},
                         {Py_tp_repr, reinterpret_cast<void*>(represent<Client>)},
                         {Py_tp_methods, methods},
                         {Py_tp_getset, properties},
                         {Py_tp_doc, const_cast<char*>(documentation)},
                         {0, nullptr}};
  PyType_Spec spec{name, static_cast<int>(sizeof(Object<Client>)), 0,
                   static_cast<unsigned>(Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE), slots};
  const Ref type = own(PyType_FromSpec(&spec));
  if (PyObject_SetAttrString(module, type_name<Client>, type.get()) != 0) throw PyError();
}

}  // namespace

void add_plain_clients(PyObject* module) {
  add_type<RawClient>(module, "framecall.RawClient", init_raw, raw_methods, raw_properties, raw_documentation);
  add_type<UdpClient>(module, "framecall.UdpClient", init_udp, udp_methods, udp_properties, udp_documentation);
}

}  // namespace framecall::python
