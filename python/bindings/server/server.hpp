// framecall._core.Server: the C++ server for the Python class of that name.
#pragma once

#include <pybind11/pybind11.h>

namespace framecall::python {

void add_server(pybind11::module_& module);

}  // namespace framecall::python
