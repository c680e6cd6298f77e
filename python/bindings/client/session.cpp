#include "client/session.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "client/client.hpp"
#include "framecall/detail/client_session.hpp"
#include "framecall/detail/reply_decoder.hpp"
#include "framecall/detail/request_encoder.hpp"
#include "framecall/wire/frame.hpp"
#include "json/json_python.hpp"
#include "types/decoder.hpp"
#include "types/message.hpp"

namespace framecall::python {
namespace {

using Clock = std::chrono::steady_clock;  // the one of time.monotonic(), and so of asyncio

constexpr std::size_t direct_from = 64 * 1024;  // larger bodies go to the transport as they are

PyObject *set_result_name, *set_exception_name, *done_name, *deliver_name, *fail_name;

// What a call waits for: a value or a Reply in a future, or parts in an object with deliver() and fail().
enum class Wanted : std::uint8_t { value, reply, parts };

struct PythonCall : SessionCall {
  PythonCall(Ref target, Wanted wanted) : target(std::move(target)), wanted(wanted) {}
  Ref target;
  const Wanted wanted;
};

ClientOptions options_of(std::uint32_t max_header, std::uint64_t max_body, std::shared_ptr<const Dialect> dialect) {
  ClientOptions options;
  options.max_header = max_header;
  options.max_body = max_body;
  options.dialect = std::move(dialect);
  return options;
}

struct SessionState {
  SessionState(std::string peer, const ClientOptions& given, std::size_t most)
      : options(given),
        replies(options.max_header, options.max_body, dialect_of(options)),
        session(std::move(peer), options, replies),
        max_in_flight(most) {}

  const ClientOptions options;
  ReplyDecoder replies;
  ClientSession session;
  const std::size_t max_in_flight;
  std::string out;                      // that leaves with the next write
  std::chrono::milliseconds timeout{};  // of calls that have none
  Clock::time_point alarm = ClientSession::no_deadline;
  Ref loop, loop_named, future_type, write, abort, call_soon, flush, wake, hold, running_loop;
  Ref on_room;  // somebody waits for fewer calls in flight
  Ref view;     // of the block that the next bytes go to
  char* viewed = nullptr;
  std::size_t viewed_size = 0;
  bool corked = false, held = false;
  bool blocked = false;  // the transport takes no more for now; set from Python

  // What the garbage collector may find a cycle through, but for the calls.
  template <class Function>
  void for_each_reference(Function function) {
    for (Ref* ref : {&loop, &write, &abort, &call_soon, &flush, &wake, &hold, &on_room}) function(*ref);
  }
};

struct SessionObject {
  PyObject head;
  std::optional<SessionState> state;
};

SessionState& state_of(PyObject* self) {
  auto& state = reinterpret_cast<SessionObject*>(self)->state;
  if (!state) raise(PyExc_RuntimeError, "Session.__init__() was not called");
  return *state;
}

PyObject* new_session(PyTypeObject* type, PyObject*, PyObject*) {
  PyObject* const self = type->tp_alloc(type, 0);
  if (self != nullptr) new (&reinterpret_cast<SessionObject*>(self)->state) std::optional<SessionState>();
  return self;
}

int init_session(PyObject* self, PyObject* arguments, PyObject*) {
  const Ref done(guard([&] {
    const char* peer = nullptr;
    unsigned max_header = 0;
    unsigned long long max_body = 0;
    PyObject *timeout = nullptr, *dialect = nullptr;
    Py_ssize_t most = 0;
    if (PyArg_ParseTuple(arguments, "sIKOnO:Session", &peer, &max_header, &max_body, &timeout, &most, &dialect) == 0) {
      throw PyError();
    }
    if (most < 1) raise(PyExc_ValueError, "max_in_flight: at least 1, not %zd", most);
    auto& state = reinterpret_cast<SessionObject*>(self)->state;
    state.emplace(peer, options_of(max_header, max_body, dialect_of_calls(dialect)), static_cast<std::size_t>(most));
    state->timeout = timeout == Py_None ? std::chrono::hours(24 * 365 * 10) : to_timeout(timeout);
    return none();
  }));
  return done ? 0 : -1;
}

// What waits in frames to be sent are bytes, which are in no cycle.
int session_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  auto& state = reinterpret_cast<SessionObject*>(self)->state;
  if (!state) return 0;
  int result = 0;
  const auto visit_one = [&](const Ref& ref) {
    if (result == 0 && ref) result = visit(ref.get(), arg);
  };
  state->for_each_reference(visit_one);
  state->session.for_each_call(
      [&](const SessionCall& call) { visit_one(static_cast<const PythonCall&>(call).target); });
  return result;
}

int session_clear(PyObject* self) {
  auto& state = reinterpret_cast<SessionObject*>(self)->state;
  if (!state) return 0;
  state->for_each_reference([](Ref& ref) { ref.reset(); });
  state->session.end(std::make_exception_ptr(PyError()));
  SessionEvent unheard;
  while (state->session.next_event(unheard)) continue;
  return 0;
}

void session_deallocate(PyObject* self) {
  PyObject_GC_UnTrack(self);
  PyTypeObject* const type = Py_TYPE(self);
  std::destroy_at(&reinterpret_cast<SessionObject*>(self)->state);
  type->tp_free(self);
  Py_DECREF(type);
}

// attach(loop, future_type, transport, wake, hold): the connection is made. `wake` is called with the seconds to the next
// deadline, `hold` with whether nothing is to be received for now.
PyObject* attach(PyObject* self, PyObject* arguments) {
  return guard([&] {
    PyObject *loop = nullptr, *future_type = nullptr, *transport = nullptr, *wake = nullptr, *hold = nullptr;
    if (PyArg_ParseTuple(arguments, "OOOOO:attach", &loop, &future_type, &transport, &wake, &hold) == 0)
      throw PyError();
    SessionState& state = state_of(self);
    state.loop = borrow(loop);
    state.future_type = borrow(future_type);
    state.write = own(PyObject_GetAttrString(transport, "write"));
    state.abort = own(PyObject_GetAttrString(transport, "abort"));
    state.wake = borrow(wake);
    state.hold = borrow(hold);
    state.call_soon = own(PyObject_GetAttrString(loop, "call_soon"));
    state.flush = own(PyObject_GetAttrString(self, "flush"));  // a cycle, which fail() ends
    state.loop_named = own(Py_BuildValue("(s)", "loop"));
    const Ref asyncio = own(PyImport_ImportModule("asyncio"));
    state.running_loop = own(PyObject_GetAttrString(asyncio.get(), "_get_running_loop"));
    return none();
  });
}

// ---- how much

bool has_room(const SessionState& state) { return state.session.in_flight() < state.max_in_flight; }

// For whatever ends calls or reads parts, at its end.
void settle(SessionState& state) {
  if (state.session.held() != state.held && state.hold) {
    state.held = state.session.held();
    own(PyObject_CallOneArg(state.hold.get(), state.held ? Py_True : Py_False));
  }
  if (!state.on_room || !has_room(state)) return;
  const Ref function = std::exchange(state.on_room, Ref());
  own(PyObject_CallNoArgs(function.get()));
}

// call_when_room(function): once, when fewer than max_in_flight calls are.
PyObject* call_when_room(PyObject* self, PyObject* function) {
  return guard([&] {
    SessionState& state = state_of(self);
    state.on_room = borrow(function);
    return none();
  });
}

// ---- out

void write_out(SessionState& state) {
  if (state.out.empty() || !state.write) return;
  const Ref bytes = own(PyBytes_FromStringAndSize(state.out.data(), static_cast<Py_ssize_t>(state.out.size())));
  state.out.clear();
  own(PyObject_CallOneArg(state.write.get(), bytes.get()));
}

// A frame may have left in part: nothing else can follow it. For a catch block.
void break_off(SessionState& state) {
  PyObject *type = nullptr, *error = nullptr, *trace = nullptr;
  PyErr_Fetch(&type, &error, &trace);
  state.session.lose(ECONNABORTED, "a frame could not be written");
  state.out.clear();
  const Ref abort = std::exchange(state.abort, Ref());
  if (abort && !Ref(PyObject_CallNoArgs(abort.get()))) PyErr_WriteUnraisable(abort.get());
  PyErr_Restore(type, error, trace);
}

// All frames that wait. `large`: the object whose bytes are the body of the last one, if that is not copied.
void send_frames(SessionState& state, PyObject* large) {
  ClientSession::Frame frame;
  try {
    while (state.session.next_frame(Clock::now(), frame)) {
      state.out += frame.head;
      if (large != nullptr && frame.body.size() >= direct_from) {
        write_out(state);
        own(PyObject_CallOneArg(state.write.get(), large));
      } else {
        state.out += frame.body.view();
      }
    }
    write_out(state);
  } catch (...) {
    break_off(state);
    throw;
  }
}

PyObject* flush(PyObject* self, PyObject*) {
  return guard([&] {
    SessionState& state = state_of(self);
    state.corked = false;
    send_frames(state, nullptr);
    return none();
  });
}

// A body on its way out: large bytes are not copied.
struct SentBody {
  explicit SentBody(const OutBody& body) {
    if (body.view().size() < direct_from) {
      bytes.append(body.view());
      return;
    }
    large = PyBytes_CheckExact(body.source()) ? borrow(body.source()) : bytes_of(body.source());
    const auto let_go = [](void* object) { Py_DECREF(static_cast<PyObject*>(object)); };
    bytes = Buffer(body.view(), std::shared_ptr<void>(borrow(large.get()).release(), let_go));
  }
  Buffer bytes;
  Ref large;
};

// Sends what waits at once if there is no other call, else together with what else this turn of the loop brings.
void send(SessionState& state, bool at_once, PyObject* large = nullptr) {
  if (!state.write || state.session.unsent() == 0) return;
  if (large != nullptr || (at_once && !state.corked)) {
    send_frames(state, large);
  } else if (!state.corked) {
    own(PyObject_CallOneArg(state.call_soon.get(), state.flush.get()));
    state.corked = true;
  }
}

void set_alarm(SessionState& state) {
  const auto deadline = state.session.next_deadline();
  if (deadline >= state.alarm || !state.wake) return;
  state.alarm = deadline;
  const std::chrono::duration<double> left = deadline - Clock::now();
  own(PyObject_CallFunction(state.wake.get(), "d", left.count()));
}

void check_open(const SessionState& state) {
  if (state.session.ended() || !state.write) raise(PyExc_ConnectionResetError, "the connection is closed");
}

std::uint64_t begin(SessionState& state, std::string_view method, std::string_view params, const OutBody& body,
                    const CallOptions& options, Wanted wanted, Ref target) {
  check_open(state);
  const auto timeout = options.timeout.count() > 0 ? options.timeout : state.timeout;
  const RequestEncoder request(method, params, body.view(), options, state.options.max_header);
  const bool alone = state.session.in_flight() == 0;
  SentBody sent(body);
  const auto replies = wanted == Wanted::parts ? ClientSession::Wanted::parts : ClientSession::Wanted::reply;
  const std::uint64_t id =
      state.session.start(request, std::move(sent.bytes), std::make_shared<PythonCall>(std::move(target), wanted),
                          replies, Clock::now() + timeout, timeout);
  try {
    set_alarm(state);
    send(state, alone, sent.large.get());
  } catch (...) {
    state.session.cancel(id);
    throw;
  }
  return id;
}

Ref new_future(SessionState& state) {
  PyObject* arguments[] = {nullptr, state.loop.get()};
  return own(PyObject_Vectorcall(state.future_type.get(), arguments + 1, 0 | PY_VECTORCALL_ARGUMENTS_OFFSET,
                                 state.loop_named.get()));
}

struct Asked {
  Asked(const char* function, PyObject* const* arguments, Py_ssize_t count, PyObject* names)
      : given(function, arguments, count, names, params.text), body(given.body) {
    options = make_options(given.timeout, given.metadata, body.layout());
    options.digest = given.digest;
    options.more = given.sending;
  }
  Scratch params;
  RequestArguments given;
  OutBody body;
  CallOptions options;
};

// start_stream(target, method, ...)
PyObject* start_stream(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* names) {
  return guard([&] {
    SessionState& state = state_of(self);
    if (count < 1) raise(PyExc_TypeError, "start_stream(target, method, ...)");
    const Asked call("stream", arguments + 1, count - 1, names);
    return own(PyLong_FromUnsignedLongLong(begin(state, call.given.method, call.params.text, call.body, call.options,
                                                 Wanted::parts, borrow(arguments[0]))));
  });
}

PyObject* start_notify(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* names) {
  return guard([&] {
    SessionState& state = state_of(self);
    Scratch params;
    const CallArguments given("notify", arguments, count, names, params.text);
    const OutBody body(given.body);
    const CallOptions options = make_options(given.timeout, given.metadata, body.layout());
    check_open(state);
    const RequestEncoder request(given.method, std::string_view(params.text), body.view(), options,
                                 state.options.max_header);
    SentBody sent(body);
    const auto timeout = options.timeout.count() > 0 ? options.timeout : state.timeout;
    state.session.notify(request, std::move(sent.bytes), Clock::now() + timeout, timeout);
    send(state, state.session.in_flight() == 0, sent.large.get());
    return none();
  });
}

// send_part(id, value, body, more)
PyObject* send_part(PyObject* self, PyObject* arguments) {
  return guard([&] {
    SessionState& state = state_of(self);
    unsigned long long id = 0;
    PyObject *value = nullptr, *given = nullptr;
    int more = 0;
    if (PyArg_ParseTuple(arguments, "KOOp:send_part", &id, &value, &given, &more) == 0) throw PyError();
    const OutBody body(given);
    Part part;
    part.value.clear();
    write_named_value(part.value, value, params_depth, value, "value");
    part.layout = body.layout();
    check_open(state);
    SentBody sent(body);
    part.body = std::move(sent.bytes);
    state.session.send_part(id, std::move(part), more != 0);
    send(state, false, sent.large.get());
    return none();
  });
}

// cancel(id): see give_up().
PyObject* cancel(PyObject* self, PyObject* number) {
  return guard([&] {
    const std::uint64_t id = PyLong_AsUnsignedLongLong(number);
    if (PyErr_Occurred() != nullptr) throw PyError();
    give_up(self, id);
    return none();
  });
}

// ---- in

// Gives a value to whoever waits. What a stream's target raises goes to the caller. `metadata`: of a stream's last reply.
void give(const PythonCall& to, PyObject* value, bool last, PyObject* metadata) {
  if (to.wanted == Wanted::parts) {
    PyObject* arguments[] = {to.target.get(), value, last ? Py_True : Py_False, metadata};
    own(PyObject_VectorcallMethod(deliver_name, arguments, 4, nullptr));
    return;
  }
  if (Ref(PyObject_CallMethodOneArg(to.target.get(), set_result_name, value))) return;
  // Cancelled by the caller, which is too rare to ask for it before.
  PyObject *type = nullptr, *error = nullptr, *trace = nullptr;
  PyErr_Fetch(&type, &error, &trace);
  const Ref done = own(PyObject_CallMethodNoArgs(to.target.get(), done_name));
  if (done.get() != Py_True) {
    PyErr_Restore(type, error, trace);
    throw PyError();
  }
  Py_XDECREF(type);
  Py_XDECREF(error);
  Py_XDECREF(trace);
}

void give_error(const PythonCall& to, PyObject* exception) {
  PyObject* const name = to.wanted == Wanted::parts ? fail_name : set_exception_name;
  if (to.wanted != Wanted::parts) {
    const Ref done = own(PyObject_CallMethodNoArgs(to.target.get(), done_name));
    if (done.get() == Py_True) return;
  }
  own(PyObject_CallMethodOneArg(to.target.get(), name, exception));
}

// For a catch block: the exception as an object.
Ref caught() {
  set_python_error();
  PyObject *type = nullptr, *value = nullptr, *trace = nullptr;
  PyErr_Fetch(&type, &value, &trace);
  PyErr_NormalizeException(&type, &value, &trace);
  Py_XDECREF(type);
  Py_XDECREF(trace);
  return own(value);
}

void deliver(SessionEvent& event) {
  const auto& to = static_cast<const PythonCall&>(*event.call);
  Ref value, metadata = none();
  try {
    if (event.error) std::rethrow_exception(event.error);
    CallReply& reply = *event.reply;
    if (to.wanted == Wanted::parts) {
      if (event.last && !reply.metadata.empty()) metadata = read_value(reply.metadata);
      if (reply.error) throw RemoteError(*reply.error);
      if (reply.damage) throw ProtocolError(*reply.damage);
      const bool end = event.last && !reply.continued && reply.result == "null" && reply.body.empty();
      value = end ? none() : make_part(part_of(std::move(reply)));
    } else {
      Response response = response_of(std::move(reply), "the server");
      value = to.wanted == Wanted::value ? plain_value(std::move(response)) : make_reply(std::move(response));
    }
  } catch (...) {
    give_error(to, caught().get());
    return;
  }
  give(to, value.get(), event.last, metadata.get());
}

// The calls get what has happened. A session that has ended ends the connection.
void deliver_all(SessionState& state) {
  {
    SessionEvent event;
    while (state.session.next_event(event)) deliver(event);
  }
  if (state.session.ended()) {
    const Ref abort = std::exchange(state.abort, Ref());
    if (abort) own(PyObject_CallNoArgs(abort.get()));
  }
  settle(state);
}

PyObject* get_buffer(PyObject* self, PyObject*) {
  return guard([&] {
    SessionState& state = state_of(self);
    const std::span<char> room = state.replies.prepare();
    if (!state.view || state.viewed != room.data() || state.viewed_size != room.size()) {  // nearly always the same
      state.view = own(PyMemoryView_FromMemory(room.data(), static_cast<Py_ssize_t>(room.size()), PyBUF_WRITE));
      state.viewed = room.data();
      state.viewed_size = room.size();
    }
    return borrow(state.view.get());
  });
}

PyObject* buffer_updated(PyObject* self, PyObject* size) {
  return guard([&] {
    SessionState& state = state_of(self);
    const std::size_t count = PyLong_AsSize_t(size);
    if (PyErr_Occurred() != nullptr) throw PyError();
    if (count > state.viewed_size) raise(PyExc_ValueError, "buffer_updated(%zu): more than get_buffer() gave", count);
    state.replies.commit(count);
    deliver_all(state);
    return none();
  });
}

// deliver(): what was received while replies were held back.
PyObject* deliver_held(PyObject* self, PyObject*) {
  return guard([&] {
    deliver_all(state_of(self));
    return none();
  });
}

// lose(errno, why): the connection is gone; every call under way is told.
PyObject* lose(PyObject* self, PyObject* arguments) {
  return guard([&] {
    SessionState& state = state_of(self);
    int error = 0;
    const char* why = nullptr;
    if (PyArg_ParseTuple(arguments, "is:lose", &error, &why) == 0) throw PyError();
    for (Ref* ref : {&state.write, &state.abort, &state.call_soon, &state.flush, &state.wake, &state.hold})
      ref->reset();
    state.session.lose(error, why);
    deliver_all(state);
    return none();
  });
}

// expire(): ends the calls whose deadline has passed, and sets the alarm for the next one.
PyObject* expire(PyObject* self, PyObject*) {
  return guard([&] {
    SessionState& state = state_of(self);
    const auto now = Clock::now();
    state.alarm = ClientSession::no_deadline;
    {
      SessionEvent event;
      while (state.session.next_late(now, event)) deliver(event);
    }
    send(state, false);
    set_alarm(state);
    settle(state);
    return none();
  });
}

// set_unread(id, size): so many bytes of a stream's parts wait for their reader.
PyObject* set_unread(PyObject* self, PyObject* arguments) {
  return guard([&] {
    SessionState& state = state_of(self);
    unsigned long long id = 0;
    Py_ssize_t size = 0;
    if (PyArg_ParseTuple(arguments, "Kn:set_unread", &id, &size) == 0) throw PyError();
    state.session.set_unread(id, static_cast<std::size_t>(size));
    settle(state);
    return none();
  });
}

// ---- how it is

PyObject* in_flight(PyObject* self, void*) {
  return guard([&] { return own(PyLong_FromSize_t(state_of(self).session.in_flight())); });
}
PyObject* ready(PyObject* self, void*) {
  return guard([&] { return own(PyBool_FromLong(is_ready(self) ? 1 : 0)); });
}
// No call should begin here any more.
PyObject* closing(PyObject* self, void*) {
  return guard([&] { return own(PyBool_FromLong(state_of(self).session.closing() ? 1 : 0)); });
}

PyObject* blocked(PyObject* self, void*) {
  return guard([&] { return own(PyBool_FromLong(state_of(self).blocked ? 1 : 0)); });
}
int set_blocked(PyObject* self, PyObject* value, void*) {
  const Ref done(guard([&] {
    const int truth = value == nullptr ? 0 : PyObject_IsTrue(value);
    if (truth < 0) throw PyError();
    state_of(self).blocked = truth != 0;
    return none();
  }));
  return done ? 0 : -1;
}

PyMethodDef session_methods[] = {{"attach", attach, METH_VARARGS, nullptr},
                                 {"flush", flush, METH_NOARGS, nullptr},
                                 {"start_stream", as_method(start_stream), METH_FASTCALL | METH_KEYWORDS, nullptr},
                                 {"start_notify", as_method(start_notify), METH_FASTCALL | METH_KEYWORDS, nullptr},
                                 {"send_part", send_part, METH_VARARGS, nullptr},
                                 {"cancel", cancel, METH_O, nullptr},
                                 {"call_when_room", call_when_room, METH_O, nullptr},
                                 {"get_buffer", get_buffer, METH_O, nullptr},
                                 {"buffer_updated", buffer_updated, METH_O, nullptr},
                                 {"deliver", deliver_held, METH_NOARGS, nullptr},
                                 {"set_unread", set_unread, METH_VARARGS, nullptr},
                                 {"lose", lose, METH_VARARGS, nullptr},
                                 {"expire", expire, METH_NOARGS, nullptr},
                                 {}};

PyGetSetDef session_properties[] = {{"in_flight", in_flight, nullptr, nullptr, nullptr},
                                    {"ready", ready, nullptr, nullptr, nullptr},
                                    {"closing", closing, nullptr, nullptr, nullptr},
                                    {"blocked", blocked, set_blocked, nullptr, nullptr},
                                    {}};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("Session(peer, max_header, max_body, timeout, max_in_flight, dialect, /)\n--\n\n"
                                  "One connection of framecall.aio.Client, without the socket.\n")},
    {Py_tp_new, reinterpret_cast<void*>(new_session)},
    {Py_tp_init, reinterpret_cast<void*>(init_session)},
    {Py_tp_dealloc, reinterpret_cast<void*>(session_deallocate)},
    {Py_tp_traverse, reinterpret_cast<void*>(session_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(session_clear)},
    {Py_tp_methods, session_methods},
    {Py_tp_getset, session_properties},
    {0, nullptr}};
PyType_Spec spec{"framecall._core.Session", sizeof(SessionObject), 0,
                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};

}  // namespace

bool is_ready(PyObject* self) {
  const SessionState& state = state_of(self);
  return !state.blocked && !state.session.closing() && !state.on_room && has_room(state) && state.running_loop &&
         own(PyObject_CallNoArgs(state.running_loop.get())).get() == state.loop.get();
}

Ref start(PyObject* self, const Given& given, bool whole, std::uint64_t& id) {
  SessionState& state = state_of(self);
  Ref future = new_future(state);
  if (whole) {
    const Asked call("request", given.arguments, given.count, given.names);
    id =
        begin(state, call.given.method, call.params.text, call.body, call.options, Wanted::reply, borrow(future.get()));
  } else {
    Scratch params;
    const CallArguments call("call", given.arguments, given.count, given.names, params.text);
    const OutBody body(call.body);
    const CallOptions options = make_options(call.timeout, call.metadata, body.layout());
    id = begin(state, call.method, params.text, body, options, Wanted::value, borrow(future.get()));
  }
  return future;
}

void give_up(PyObject* self, std::uint64_t id) {
  SessionState& state = state_of(self);
  state.session.cancel(id);
  send(state, false);
  settle(state);
}

void add_session(PyObject* module) {
  set_result_name = PyUnicode_InternFromString("set_result");
  set_exception_name = PyUnicode_InternFromString("set_exception");
  done_name = PyUnicode_InternFromString("done");
  deliver_name = PyUnicode_InternFromString("deliver");
  fail_name = PyUnicode_InternFromString("fail");
  add_type(module, "Session", spec);
}

}  // namespace framecall::python
