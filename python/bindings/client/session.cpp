#include "client/session.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "client/client.hpp"
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

struct Waiting {
  Ref target;
  Wanted wanted;
  Clock::time_point deadline;
};

struct SessionState {
  SessionState(std::uint32_t max_header, std::uint64_t max_body, std::size_t most,
               std::shared_ptr<const Dialect> spoken)
      : dialect(std::move(spoken)),
        prefix(dialect->prefixes.front()),
        reader(max_header, max_body, *dialect),
        max_header(max_header),
        max_in_flight(most) {}

  const std::shared_ptr<const Dialect> dialect;
  const PrefixFormat prefix;
  ReplyReader reader;
  const std::uint32_t max_header;
  const std::size_t max_in_flight;
  std::string out;  // that leaves at the end of the loop's turn
  std::uint64_t last_id = 0;
  std::unordered_map<std::uint64_t, Waiting> waiting;
  std::vector<decltype(waiting)::node_type> spare;  // of calls that are over, for the next ones
  std::chrono::milliseconds timeout{};              // of calls that have none
  Clock::time_point alarm = Clock::time_point::max();
  Ref loop, loop_named, future_type, write, abort, call_soon, flush, wake, running_loop;
  Ref on_room;  // somebody waits for fewer calls in flight
  Ref view;     // of the reader's block
  char* viewed = nullptr;
  std::size_t viewed_size = 0;
  bool corked = false, lost = false;
  bool blocked = false;  // the transport takes no more for now; set from Python
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
    unsigned max_header = 0;
    unsigned long long max_body = 0;
    PyObject *timeout = nullptr, *dialect = nullptr;
    Py_ssize_t most = 0;
    if (PyArg_ParseTuple(arguments, "IKOnO:Session", &max_header, &max_body, &timeout, &most, &dialect) == 0) {
      throw PyError();
    }
    if (most < 1) raise(PyExc_ValueError, "max_in_flight: at least 1, not %zd", most);
    auto& state = reinterpret_cast<SessionObject*>(self)->state;
    state.emplace(max_header, max_body, static_cast<std::size_t>(most), dialect_of_calls(dialect));
    state->timeout = timeout == Py_None ? std::chrono::hours(24 * 365 * 10) : to_timeout(timeout);
    return none();
  }));
  return done ? 0 : -1;
}

int session_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  const auto& state = reinterpret_cast<SessionObject*>(self)->state;
  if (!state) return 0;
  for (const Ref* ref :
       {&state->loop, &state->write, &state->abort, &state->call_soon, &state->flush, &state->wake, &state->on_room}) {
    Py_VISIT(ref->get());
  }
  for (const auto& [id, one] : state->waiting) Py_VISIT(one.target.get());
  return 0;
}

int session_clear(PyObject* self) {
  auto& state = reinterpret_cast<SessionObject*>(self)->state;
  if (!state) return 0;
  for (Ref* ref :
       {&state->loop, &state->write, &state->abort, &state->call_soon, &state->flush, &state->wake, &state->on_room}) {
    ref->reset();
  }
  std::unordered_map<std::uint64_t, Waiting>().swap(state->waiting);
  return 0;
}

void session_deallocate(PyObject* self) {
  PyObject_GC_UnTrack(self);
  PyTypeObject* const type = Py_TYPE(self);
  std::destroy_at(&reinterpret_cast<SessionObject*>(self)->state);
  type->tp_free(self);
  Py_DECREF(type);
}

// attach(loop, future_type, transport, wake): the connection is made. `wake` is called with the seconds to the next deadline.
PyObject* attach(PyObject* self, PyObject* arguments) {
  return guard([&] {
    PyObject *loop = nullptr, *future_type = nullptr, *transport = nullptr, *wake = nullptr;
    if (PyArg_ParseTuple(arguments, "OOOO:attach", &loop, &future_type, &transport, &wake) == 0) throw PyError();
    SessionState& state = state_of(self);
    state.loop = borrow(loop);
    state.future_type = borrow(future_type);
    state.write = own(PyObject_GetAttrString(transport, "write"));
    state.abort = own(PyObject_GetAttrString(transport, "abort"));
    state.wake = borrow(wake);
    state.call_soon = own(PyObject_GetAttrString(loop, "call_soon"));
    state.flush = own(PyObject_GetAttrString(self, "flush"));  // a cycle, which fail() ends
    state.loop_named = own(Py_BuildValue("(s)", "loop"));
    const Ref asyncio = own(PyImport_ImportModule("asyncio"));
    state.running_loop = own(PyObject_GetAttrString(asyncio.get(), "_get_running_loop"));
    return none();
  });
}

// ---- how many

bool has_room(const SessionState& state) { return state.waiting.size() < state.max_in_flight; }

// For whatever ends calls, at its end.
void tell_about_room(SessionState& state) {
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
  state.lost = true;
  state.out.clear();
  const Ref abort = std::exchange(state.abort, Ref());
  if (abort && !Ref(PyObject_CallNoArgs(abort.get()))) PyErr_WriteUnraisable(abort.get());
  PyErr_Restore(type, error, trace);
}

PyObject* flush(PyObject* self, PyObject*) {
  return guard([&] {
    SessionState& state = state_of(self);
    state.corked = false;
    try {
      write_out(state);
    } catch (...) {
      break_off(state);
      throw;
    }
    return none();
  });
}

// At once if nobody else waits for an answer, else together with what else this turn of the loop brings.
void put_out(SessionState& state, std::string_view head, const OutBody& body, PyObject* direct, bool at_once) {
  state.out += head;
  if (direct != nullptr) {
    write_out(state);
    own(PyObject_CallOneArg(state.write.get(), direct));
    return;
  }
  state.out += body.view();
  if (at_once && !state.corked) {
    write_out(state);
  } else if (!state.corked) {
    state.corked = true;
    own(PyObject_CallOneArg(state.call_soon.get(), state.flush.get()));
  }
}

// All of a frame, or nothing that anybody could take for another one: a failure ends the connection.
void send(SessionState& state, std::string_view head, const OutBody& body, bool at_once) {
  Ref direct;
  if (body.view().size() >= direct_from) {
    direct = PyBytes_CheckExact(body.source()) ? borrow(body.source()) : bytes_of(body.source());
  }
  try {
    put_out(state, head, body, direct.get(), at_once);
  } catch (...) {
    break_off(state);
    throw;
  }
}

void set_alarm(SessionState& state, Clock::time_point deadline) {
  if (deadline >= state.alarm) return;
  state.alarm = deadline;
  const std::chrono::duration<double> left = deadline - Clock::now();
  own(PyObject_CallFunction(state.wake.get(), "d", left.count()));
}

// The frame of a call; who waits for its answer is noted under last_id.
void begin(SessionState& state, std::string_view method, std::string_view params, const OutBody& body,
           const CallOptions& options, Wanted wanted, Ref target) {
  if (state.lost || !state.write) raise(PyExc_ConnectionResetError, "the connection is closed");
  const std::uint64_t id = state.last_id + 1;
  const auto timeout = options.timeout.count() > 0 ? options.timeout : state.timeout;
  const auto deadline = Clock::now() + timeout;
  const ClientCall call(method, params, body.view(), options, state.max_header);
  const std::string head = call.encode(std::to_string(id), timeout, wanted == Wanted::parts, state.prefix);
  const bool alone = state.waiting.empty();
  if (state.spare.empty()) {
    state.waiting.emplace(id, Waiting{std::move(target), wanted, deadline});
  } else {
    auto node = std::move(state.spare.back());
    state.spare.pop_back();
    node.key() = id;
    node.mapped() = Waiting{std::move(target), wanted, deadline};
    state.waiting.insert(std::move(node));
  }
  state.last_id = id;
  try {
    set_alarm(state, deadline);
    send(state, head, body, alone);
  } catch (...) {
    state.waiting.erase(id);
    throw;
  }
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
    begin(state, call.given.method, call.params.text, call.body, call.options, Wanted::parts, borrow(arguments[0]));
    return own(PyLong_FromUnsignedLongLong(state.last_id));
  });
}

PyObject* start_notify(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* names) {
  return guard([&] {
    SessionState& state = state_of(self);
    Scratch params;
    const CallArguments given("notify", arguments, count, names, params.text);
    const OutBody body(given.body);
    const CallOptions options = make_options(given.timeout, given.metadata, body.layout());
    if (state.lost || !state.write) raise(PyExc_ConnectionResetError, "the connection is closed");
    const ClientCall call(given.method, std::string_view(params.text), body.view(), options, state.max_header);
    send(state, call.encode({}, options.timeout, false, state.prefix), body, state.waiting.empty());
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
    part.body = Buffer(body.view(), std::make_shared<int>());  // its size, for the header
    if (!state.write) raise(PyExc_ConnectionResetError, "the connection is closed");
    send(state, item_head(std::to_string(id), part, more != 0, state.max_header, state.prefix), body, false);
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
void give(const Waiting& to, PyObject* value, bool last, PyObject* metadata) {
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

void give_error(const Waiting& to, PyObject* exception) {
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

std::uint64_t to_id(const std::string& text) {
  std::uint64_t id = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), id);
  return problem == std::errc() && end == text.data() + text.size() ? id : 0;
}

void deliver(SessionState& state, CallReply& reply) {
  if (reply.id.empty() && reply.error) throw RemoteError(*reply.error);  // the peer has given up on the connection
  const auto found = state.waiting.find(to_id(reply.id));
  if (found == state.waiting.end()) return;  // cancelled, or late
  const bool last = !reply.more && !reply.continues;
  const Waiting to{borrow(found->second.target.get()), found->second.wanted, {}};
  if (last || to.wanted != Wanted::parts) {
    found->second.target.reset();
    state.spare.push_back(state.waiting.extract(found));
  }
  Ref value, metadata = none();
  try {
    if (to.wanted == Wanted::parts) {
      if (last && !reply.metadata.empty()) metadata = read_value(reply.metadata);
      if (reply.error) throw RemoteError(*reply.error);
      if (reply.damage) throw ProtocolError(*reply.damage);
      const bool end = last && !reply.continued && reply.result == "null" && reply.body.empty();
      value = end ? none() : make_part(part_of(std::move(reply)));
    } else {
      Response response = response_of(std::move(reply), "the server");
      value = to.wanted == Wanted::value ? plain_value(std::move(response)) : make_reply(std::move(response));
    }
  } catch (...) {
    give_error(to, caught().get());
    return;
  }
  give(to, value.get(), last, metadata.get());
}

PyObject* get_buffer(PyObject* self, PyObject*) {
  return guard([&] {
    SessionState& state = state_of(self);
    const std::span<char> room = state.reader.prepare();
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
    state.reader.commit(count);
    while (CallReply* const reply = state.reader.next()) deliver(state, *reply);
    tell_about_room(state);
    return none();
  });
}

// fail(exception): the connection is gone; everybody gets it.
PyObject* fail(PyObject* self, PyObject* exception) {
  return guard([&] {
    SessionState& state = state_of(self);
    state.lost = true;
    for (Ref* ref : {&state.write, &state.call_soon, &state.flush, &state.wake}) ref->reset();
    const auto waiting = std::exchange(state.waiting, {});
    for (const auto& [id, to] : waiting) give_error(to, exception);
    return none();
  });
}

// expire(make_error): ends the calls whose deadline has passed with make_error(), and sets the alarm for the next one.
PyObject* expire(PyObject* self, PyObject* make_error) {
  return guard([&] {
    SessionState& state = state_of(self);
    const auto now = Clock::now();
    std::vector<std::uint64_t> late;
    state.alarm = Clock::time_point::max();
    auto next = Clock::time_point::max();
    for (const auto& [id, one] : state.waiting) {
      if (one.deadline <= now) {
        late.push_back(id);
      } else {
        next = std::min(next, one.deadline);
      }
    }
    for (const std::uint64_t id : late) {
      const auto found = state.waiting.find(id);
      if (found == state.waiting.end()) continue;
      const Waiting to{borrow(found->second.target.get()), found->second.wanted, {}};
      state.waiting.erase(found);
      if (state.write) send(state, cancel_frame(std::to_string(id), state.prefix), OutBody(nullptr), false);
      give_error(to, own(PyObject_CallNoArgs(make_error)).get());
    }
    if (next != Clock::time_point::max() && state.wake) set_alarm(state, next);
    tell_about_room(state);
    return none();
  });
}

PyObject* in_flight(PyObject* self, void*) {
  return guard([&] { return own(PyLong_FromSize_t(state_of(self).waiting.size())); });
}
PyObject* ready(PyObject* self, void*) {
  return guard([&] { return own(PyBool_FromLong(is_ready(self) ? 1 : 0)); });
}
// No call should begin here any more.
PyObject* closing(PyObject* self, void*) {
  return guard([&] {
    SessionState& state = state_of(self);
    return own(PyBool_FromLong(state.lost || state.reader.closing() ? 1 : 0));
  });
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
                                 {"fail", fail, METH_O, nullptr},
                                 {"expire", expire, METH_O, nullptr},
                                 {}};

PyGetSetDef session_properties[] = {{"in_flight", in_flight, nullptr, nullptr, nullptr},
                                    {"ready", ready, nullptr, nullptr, nullptr},
                                    {"closing", closing, nullptr, nullptr, nullptr},
                                    {"blocked", blocked, set_blocked, nullptr, nullptr},
                                    {}};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("Session(max_header, max_body, timeout, max_in_flight, dialect, /)\n--\n\n"
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
  return !state.lost && !state.blocked && !state.reader.closing() && !state.on_room && has_room(state) &&
         state.running_loop && own(PyObject_CallNoArgs(state.running_loop.get())).get() == state.loop.get();
}

Ref start(PyObject* self, const Given& given, bool whole, std::uint64_t& id) {
  SessionState& state = state_of(self);
  Ref future = new_future(state);
  if (whole) {
    const Asked call("request", given.arguments, given.count, given.names);
    begin(state, call.given.method, call.params.text, call.body, call.options, Wanted::reply, borrow(future.get()));
  } else {
    Scratch params;
    const CallArguments call("call", given.arguments, given.count, given.names, params.text);
    const OutBody body(call.body);
    const CallOptions options = make_options(call.timeout, call.metadata, body.layout());
    begin(state, call.method, params.text, body, options, Wanted::value, borrow(future.get()));
  }
  id = state.last_id;
  return future;
}

void give_up(PyObject* self, std::uint64_t id) {
  SessionState& state = state_of(self);
  if (!state.waiting.contains(id) || !state.write) return;
  state.waiting.erase(id);
  send(state, cancel_frame(std::to_string(id), state.prefix), OutBody(nullptr), false);
  tell_about_room(state);
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
