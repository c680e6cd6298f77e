// pybind11 for what runs once.
#pragma once

#include <pybind11/pybind11.h>

#include "types/object.hpp"

namespace framecall::python {

/// Runs the body of a function that pybind11 wraps: what pybind11 makes of C++ exceptions is coarser than what
/// set_python_error() does.
template <class Function>
auto translated(Function function) {
  try {
    return function();
  } catch (const pybind11::error_already_set&) {
    throw;
  } catch (const abi::__forced_unwind&) {
    throw;
  } catch (...) {
    set_python_error();
    throw pybind11::error_already_set();
  }
}

}  // namespace framecall::python
