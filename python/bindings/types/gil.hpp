// The interpreter's lock, given back while C++ waits.
#pragma once

#include <Python.h>
#include <cxxabi.h>
#include <unistd.h>

#include "types/object.hpp"

namespace framecall::python {

inline bool is_finalizing() {
#if PY_VERSION_HEX >= 0x030d0000
  return Py_IsFinalizing() != 0;
#else
  return _Py_IsFinalizing() != 0;
#endif
}

/// Takes the GIL by calling `take`. A thread that comes for it when the interpreter ends stays here for ever. Before 3.14 the
/// interpreter would unwind it instead, through frames that may not stand it, such as those that an exception is leaving.
template <class Take>
void take_gil(Take take) {
  while (is_finalizing()) ::pause();
  try {
    take();
  } catch (const abi::__forced_unwind&) {
    for (;;) ::pause();  // it began to end just now
  }
}

/// Gives the GIL back for as long as this lives.
class WithoutGil {
 public:
  WithoutGil() : thread_(is_finalizing() ? nullptr : PyEval_SaveThread()) {}
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;
  ~WithoutGil() {
    if (thread_ != nullptr) take_gil([this] { PyEval_RestoreThread(thread_); });
  }

 private:
  PyThreadState* thread_;  // none: this is the thread that ends the interpreter, and the last one
};

/// Has the GIL for as long as this lives, in a thread that gave it back or never had it.
class WithGil {
 public:
  WithGil() {
    take_gil([this] { before_ = PyGILState_Ensure(); });
  }
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
