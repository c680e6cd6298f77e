// Files over calls and over dialects, for framecall.Client.
#pragma once

#include <pybind11/pybind11.h>

namespace framecall::python {

void add_files(pybind11::module_& module);

}  // namespace framecall::python
