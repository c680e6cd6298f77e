// The retry rule, for what framecall.aio does in Python.
#pragma once

#include <pybind11/pybind11.h>

namespace framecall::python {

void add_retry(pybind11::module_& module);

}  // namespace framecall::python
