// The interpreter's lock, given back while C++ waits.
#pragma once

#include <Python.h>

#include "object.hpp"

namespace framecall::python {

/// Gives the GIL back for as long as this lives. Its destructor throws: an interpreter that ends under a waiting thread ends
/// that thread by unwinding it.
class WithoutGil {
 public:
  WithoutGil() : thread_(PyEval_SaveThread()) {}
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;
  ~WithoutGil() noexcept(false) { PyEval_RestoreThread(thread_); }

 private:
  PyThreadState* thread_;
};

/// Has the GIL for as long as this lives, in a thread that gave it back or never had it.
class WithGil {
 public:
  WithGil() : before_(PyGILState_Ensure()) {}
  WithGil(const WithGil&) = delete;
  WithGil& operator=(const WithGil&) = delete;
  ~WithGil() { PyGILState_Release(before_); }

 private:
  PyGILState_STATE before_;
};

/// Signal handlers of Python run in the main thread when it asks for them, and may raise: KeyboardInterrupt. Without the GIL.
inline void run_signal_handlers() {
  const WithGil gil;
  if (PyErr_CheckSignals() != 0) throw PyError();
}

}  // namespace framecall::python
