// The compiled part of framecall.aio: what one connection of an asyncio client sends and receives.
#pragma once

#include <Python.h>

namespace framecall::python {

void add_session(PyObject* module);

}  // namespace framecall::python
