// The compiled part of framecall.aio: what one connection of an asyncio client sends and receives.
#pragma once

#include <Python.h>

#include <cstdint>

#include "types/object.hpp"

namespace framecall::python {

void add_session(PyObject* module);

/// What call() and request() of a client were given: positional arguments, then those by name.
struct Given {
  PyObject* const* arguments;
  Py_ssize_t count;
  PyObject* names;
};

/// Another call may begin on this Session now: on this event loop, and not before those who wait.
bool is_ready(PyObject* session);
/// Sends a call, and returns the asyncio.Future of its answer: a Reply with `whole`, else the value. `id`: see give_up().
Ref start(PyObject* session, const Given& given, bool whole, std::uint64_t& id);
/// Nobody waits for it any more: the server is told, if the answer has not come.
void give_up(PyObject* session, std::uint64_t id);

}  // namespace framecall::python
