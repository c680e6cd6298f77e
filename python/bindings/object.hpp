// Owned references to Python objects, and errors on their way between the two languages. Everything here needs the GIL.
#pragma once

#include <Python.h>

#include <utility>

namespace framecall::python {

/// Thrown when a Python exception is set: the way out through C++ frames.
struct PyError {};

/// One owned reference, or none.
class Ref {
 public:
  Ref() = default;
  explicit Ref(PyObject* owned) : object_(owned) {}
  Ref(Ref&& other) noexcept : object_(other.release()) {}
  Ref& operator=(Ref&& other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() { Py_XDECREF(object_); }

  PyObject* get() const { return object_; }
  PyObject* release() { return std::exchange(object_, nullptr); }
  void reset() { Ref().swap(*this); }
  void swap(Ref& other) noexcept { std::swap(object_, other.object_); }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  PyObject* object_ = nullptr;
};

/// A new reference as the C API returns it: null means that an exception is set.
inline Ref own(PyObject* object) {
  if (object == nullptr) throw PyError();
  return Ref(object);
}

inline Ref borrow(PyObject* object) {
  Py_INCREF(object);
  return Ref(object);
}

/// Sets a Python exception and throws; `format` as PyErr_Format takes it.
template <class... Arguments>
[[noreturn]] void raise(PyObject* type, const char* format, Arguments... arguments) {
  PyErr_Format(type, format, arguments...);
  throw PyError();
}

/// Finds the exception classes that C++ errors turn into; once, when the module is made.
void import_errors();

/// Makes the C++ exception that is being handled into a Python one.
void set_python_error() noexcept;

/// Runs the body of a function that Python calls: no C++ exception gets past it.
template <class Function>
PyObject* guard(Function function) noexcept {
  try {
    return function().release();
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

/// The bytes of any object with the buffer protocol, held while this lives. Throws PyError: TypeError for others,
/// BufferError for arrays that are not contiguous.
class BytesLike {
 public:
  explicit BytesLike(PyObject* object) {
    if (PyObject_GetBuffer(object, &view_, PyBUF_SIMPLE) != 0) throw PyError();
  }
  BytesLike(const BytesLike&) = delete;
  BytesLike& operator=(const BytesLike&) = delete;
  ~BytesLike() { PyBuffer_Release(&view_); }

  const char* data() const { return static_cast<const char*>(view_.buf); }
  std::size_t size() const { return static_cast<std::size_t>(view_.len); }

 private:
  Py_buffer view_;
};

}  // namespace framecall::python
