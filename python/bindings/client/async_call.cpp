#include "client/async_call.hpp"

#include <structmember.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "client/session.hpp"
#include "types/object.hpp"

namespace framecall::python {
namespace {

// ---- framecall.aio.Client, as far as it is compiled

struct AsyncClientObject {
  PyObject head;
  PyObject* session;  // the connection for new calls, or null; set from Python
};

PyTypeObject* call_type = nullptr;
PyObject *ready_name, *send_name, *throw_name, *close_name, *result_name, *blocking_name, *timeout_name;

// ---- the coroutine

// What `async def` would make of "begin the call, wait for the future", without a frame of Python for each call. It begins
// when it is first awaited, as those do.
struct CallObject {
  enum class State : unsigned char { created, connecting, waiting, over };

  PyObject head;
  PyObject* client;
  PyObject* arguments;  // a tuple: those by place, then those by name
  PyObject* names;      // a tuple, or null
  PyObject* awaited;    // connecting: the coroutine client._ready(); waiting: the future
  PyObject* session;    // of the future
  std::uint64_t id;     // in the session
  State state;
  bool whole;  // the answer is a Reply
};

CallObject* as_call(PyObject* self) { return reinterpret_cast<CallObject*>(self); }

Ref make_call(PyObject* client, PyObject* const* given, Py_ssize_t count, PyObject* names, bool whole) {
  const Py_ssize_t all = count + (names != nullptr ? PyTuple_GET_SIZE(names) : 0);
  Ref arguments = own(PyTuple_New(all));
  for (Py_ssize_t i = 0; i < all; ++i) PyTuple_SET_ITEM(arguments.get(), i, borrow(given[i]).release());
  Ref self = own(call_type->tp_alloc(call_type, 0));
  CallObject* const call = as_call(self.get());
  call->client = borrow(client).release();
  call->arguments = arguments.release();
  Py_XINCREF(names);
  call->names = names;
  call->whole = whole;
  return self;
}

int call_clear(PyObject* self) {
  CallObject* const call = as_call(self);
  for (PyObject** field : {&call->client, &call->arguments, &call->names, &call->awaited, &call->session}) {
    Py_CLEAR(*field);
  }
  return 0;
}

int call_traverse(PyObject* self, visitproc visit, void* arg) {
  CallObject* const call = as_call(self);
  Py_VISIT(Py_TYPE(self));
  for (PyObject* field : {call->client, call->arguments, call->names, call->awaited, call->session}) Py_VISIT(field);
  return 0;
}

void warn_about_call(const CallObject* call) {
  PyObject *type = nullptr, *error = nullptr, *trace = nullptr;
  PyErr_Fetch(&type, &error, &trace);
  if (PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "coroutine 'Client.%s' was never awaited",
                       call->whole ? "request" : "call") != 0) {
    PyErr_WriteUnraisable(nullptr);
  }
  PyErr_Restore(type, error, trace);
}

void call_deallocate(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  if (as_call(self)->state == CallObject::State::created) warn_about_call(as_call(self));
  call_clear(self);
  type->tp_free(self);
  Py_DECREF(type);
}

void end_call(CallObject* call) {
  call->state = CallObject::State::over;
  call_clear(&call->head);
}

// Sends the call; returns what the task has to wait for.
Ref begin_waiting(CallObject* call, PyObject* session) {
  const auto named = call->names != nullptr ? PyTuple_GET_SIZE(call->names) : 0;
  const Given given{&PyTuple_GET_ITEM(call->arguments, 0), PyTuple_GET_SIZE(call->arguments) - named, call->names};
  Ref future = start(session, given, call->whole, call->id);
  call->state = CallObject::State::waiting;
  call->session = borrow(session).release();
  Py_CLEAR(call->arguments);
  Py_CLEAR(call->names);
  // What Future.__await__() does.
  if (PyObject_SetAttr(future.get(), blocking_name, Py_True) != 0) throw PyError();
  call->awaited = borrow(future.get()).release();
  return future;
}

// The coroutine of the client that waits until a call may begin.
void wait_for_connection(CallObject* call) {
  PyObject* timeout = Py_None;
  if (call->names != nullptr) {
    const Py_ssize_t named = PyTuple_GET_SIZE(call->names), first = PyTuple_GET_SIZE(call->arguments) - named;
    for (Py_ssize_t i = 0; i < named; ++i) {
      if (PyUnicode_Compare(PyTuple_GET_ITEM(call->names, i), timeout_name) == 0) {
        timeout = PyTuple_GET_ITEM(call->arguments, first + i);
      }
    }
  }
  call->awaited = own(PyObject_CallMethodOneArg(call->client, ready_name, timeout)).release();
  call->state = CallObject::State::connecting;
}

// One step: what is to be waited for; or, with `done`, the answer. `step(awaited)`: what the coroutine of the client does next.
template <class Step>
Ref go_on(CallObject* call, bool& done, Step step) {
  if (call->state == CallObject::State::waiting) {
    Ref result = own(PyObject_CallMethodNoArgs(call->awaited, result_name));
    end_call(call);
    done = true;
    return result;
  }
  if (call->state == CallObject::State::over) raise(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
  if (call->state == CallObject::State::created) {
    PyObject* const session = reinterpret_cast<AsyncClientObject*>(call->client)->session;
    if (session != nullptr && session != Py_None && is_ready(session)) return begin_waiting(call, session);
    wait_for_connection(call);
  }
  if (Ref yielded = Ref(step(call->awaited))) return yielded;
  const Ref session = stop_value();
  Py_CLEAR(call->awaited);
  return begin_waiting(call, session.get());
}

// Whatever comes out as an exception ends the coroutine.
template <class Step>
Ref advance(PyObject* self, bool& done, Step step) {
  const Ref kept = borrow(self);
  try {
    return go_on(as_call(self), done, step);
  } catch (...) {
    set_python_error();
    PyObject *type = nullptr, *error = nullptr, *trace = nullptr;
    PyErr_Fetch(&type, &error, &trace);
    end_call(as_call(self));
    PyErr_Restore(type, error, trace);
    throw PyError();
  }
}

// A coroutine returns by StopIteration; a tuple or an exception would be taken for its arguments.
void set_stop_iteration(PyObject* value) {
  if (value == Py_None) {
    PyErr_SetNone(PyExc_StopIteration);
  } else if (PyTuple_Check(value) || PyExceptionInstance_Check(value)) {
    const Ref stop = own(PyObject_CallOneArg(PyExc_StopIteration, value));
    PyErr_SetObject(PyExc_StopIteration, stop.get());
  } else {
    PyErr_SetObject(PyExc_StopIteration, value);
  }
}

template <class Step>
PyObject* step_or_stop(PyObject* self, Step step) {
  return guard([&] {
    bool done = false;
    Ref result = advance(self, done, step);
    if (!done) return result;
    set_stop_iteration(result.get());
    throw PyError();
  });
}

PyObject* call_send(PyObject* self, PyObject* value) {
  return step_or_stop(self,
                      [value](PyObject* awaited) { return PyObject_CallMethodOneArg(awaited, send_name, value); });
}

PyObject* call_next(PyObject* self) { return call_send(self, Py_None); }

#if PY_VERSION_HEX >= 0x030a0000
PySendResult call_am_send(PyObject* self, PyObject* value, PyObject** result) {
  bool done = false;
  *result = guard([&] {
    return advance(self, done,
                   [value](PyObject* awaited) { return PyObject_CallMethodOneArg(awaited, send_name, value); });
  });
  if (*result == nullptr) return PYGEN_ERROR;
  return done ? PYGEN_RETURN : PYGEN_NEXT;
}
#endif

// throw(exception), or throw(type, value, traceback): the task was cancelled, as a rule.
PyObject* call_throw(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  if (as_call(self)->state == CallObject::State::connecting) {
    return step_or_stop(self, [=](PyObject* awaited) {
      std::vector<PyObject*> all{awaited};
      all.insert(all.end(), arguments, arguments + count);
      return PyObject_VectorcallMethod(throw_name, all.data(), all.size(), nullptr);
    });
  }
  return guard([&]() -> Ref {
    const Ref kept = borrow(self);
    CallObject* const call = as_call(self);
    if (count < 1 || count > 3) raise(PyExc_TypeError, "throw() takes 1 to 3 arguments");
    PyObject* error = count > 1 && arguments[1] != Py_None ? arguments[1] : arguments[0];
    const Ref made = PyExceptionInstance_Check(error) ? borrow(error) : own(PyObject_CallNoArgs(arguments[0]));
    if (!PyExceptionInstance_Check(made.get())) raise(PyExc_TypeError, "exceptions must derive from BaseException");
    if (count == 3 && arguments[2] != Py_None && PyException_SetTraceback(made.get(), arguments[2]) != 0)
      throw PyError();
    if (call->state == CallObject::State::waiting) give_up(call->session, call->id);
    end_call(call);
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(made.get())), made.get());
    throw PyError();
  });
}

PyObject* call_close(PyObject* self, PyObject*) {
  return guard([&] {
    const Ref kept = borrow(self);
    CallObject* const call = as_call(self);
    if (call->state == CallObject::State::waiting) give_up(call->session, call->id);
    if (call->state == CallObject::State::connecting) own(PyObject_CallMethodNoArgs(call->awaited, close_name));
    end_call(call);
    return none();
  });
}

PyObject* call_name(PyObject* self, void*) { return PyUnicode_FromString(as_call(self)->whole ? "request" : "call"); }
PyObject* call_full_name(PyObject* self, void*) {
  return PyUnicode_FromString(as_call(self)->whole ? "Client.request" : "Client.call");
}
PyObject* call_represent(PyObject* self) {
  return PyUnicode_FromFormat("<coroutine Client.%s at %p>", as_call(self)->whole ? "request" : "call", self);
}

// ---- what begins one

PyObject* async_client_call(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* names) {
  return guard([&] { return make_call(self, arguments, count, names, false); });
}

PyObject* async_client_request(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* names) {
  return guard([&] { return make_call(self, arguments, count, names, true); });
}

int async_client_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(reinterpret_cast<AsyncClientObject*>(self)->session);
  return 0;
}

int async_client_clear(PyObject* self) {
  Py_CLEAR(reinterpret_cast<AsyncClientObject*>(self)->session);
  return 0;
}

void async_client_deallocate(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  async_client_clear(self);
  type->tp_free(self);
  Py_DECREF(type);
}

PyMethodDef call_methods[] = {{"send", call_send, METH_O, nullptr},
                              {"throw", as_method(call_throw), METH_FASTCALL, nullptr},
                              {"close", call_close, METH_NOARGS, nullptr},
                              {}};
PyGetSetDef call_properties[] = {{"__name__", call_name, nullptr, nullptr, nullptr},
                                 {"__qualname__", call_full_name, nullptr, nullptr, nullptr},
                                 {}};
PyType_Slot call_slots[] = {{Py_tp_doc, const_cast<char*>("One call of framecall.aio.Client: a coroutine.")},
                            {Py_tp_dealloc, reinterpret_cast<void*>(call_deallocate)},
                            {Py_tp_traverse, reinterpret_cast<void*>(call_traverse)},
                            {Py_tp_clear, reinterpret_cast<void*>(call_clear)},
                            {Py_tp_repr, reinterpret_cast<void*>(call_represent)},
                            {Py_tp_methods, call_methods},
                            {Py_tp_getset, call_properties},
                            {Py_tp_iter, reinterpret_cast<void*>(PyObject_SelfIter)},
                            {Py_tp_iternext, reinterpret_cast<void*>(call_next)},
                            {Py_am_await, reinterpret_cast<void*>(PyObject_SelfIter)},
#if PY_VERSION_HEX >= 0x030a0000
                            {Py_am_send, reinterpret_cast<void*>(call_am_send)},
#endif
                            {0, nullptr}};
PyType_Spec call_spec{"framecall._core.Call", sizeof(CallObject), 0,
                      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | no_constructor, call_slots};

PyMemberDef async_client_members[] = {{"_session", T_OBJECT, offsetof(AsyncClientObject, session), 0, nullptr}, {}};
PyMethodDef async_client_methods[] = {
    {"call", as_method(async_client_call), METH_FASTCALL | METH_KEYWORDS,
     "call($self, method, /, *args, body=None, timeout=None, metadata=None, **params)\n--\n\n"
     "As framecall.Client.call().\n"},
    {"_request", as_method(async_client_request), METH_FASTCALL | METH_KEYWORDS, nullptr},
    {}};
PyType_Slot async_client_slots[] = {{Py_tp_doc, const_cast<char*>("The compiled part of framecall.aio.Client.")},
                                    {Py_tp_dealloc, reinterpret_cast<void*>(async_client_deallocate)},
                                    {Py_tp_traverse, reinterpret_cast<void*>(async_client_traverse)},
                                    {Py_tp_clear, reinterpret_cast<void*>(async_client_clear)},
                                    {Py_tp_members, async_client_members},
                                    {Py_tp_methods, async_client_methods},
                                    {0, nullptr}};
PyType_Spec async_client_spec{"framecall._core.AsyncClient", sizeof(AsyncClientObject), 0,
                              Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, async_client_slots};

}  // namespace

void add_async_call(PyObject* module) {
  ready_name = PyUnicode_InternFromString("_ready");
  send_name = PyUnicode_InternFromString("send");
  throw_name = PyUnicode_InternFromString("throw");
  close_name = PyUnicode_InternFromString("close");
  result_name = PyUnicode_InternFromString("result");
  blocking_name = PyUnicode_InternFromString("_asyncio_future_blocking");
  timeout_name = PyUnicode_InternFromString("timeout");
  call_type = add_type(module, "Call", call_spec);
  add_type(module, "AsyncClient", async_client_spec);
}

}  // namespace framecall::python
