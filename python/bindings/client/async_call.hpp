// The compiled part of framecall.aio.Client: call() and request(), and the coroutine that they return.
#pragma once

#include <Python.h>

namespace framecall::python {

void add_async_call(PyObject* module);

}  // namespace framecall::python
