// Owned references to Python objects, and errors on their way between the two languages. Everything here needs the GIL.
#pragma once

#include <Python.h>
#include <cxxabi.h>

#include <string_view>
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

/// A function of the package's own modules, `framecall.MODULE.NAME`: looked up when it is needed, for what is rare.
Ref function_of(const char* module, const char* name);
/// The value of the StopIteration that is set; throws PyError for what else is.
Ref stop_value();
inline Ref none() { return borrow(Py_None); }
inline Ref to_str(std::string_view text) {
  return own(PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "surrogatepass"));
}
/// The UTF-8 text of a str; it lives as long as the str. Throws PyError for what is none.
std::string_view text_of(PyObject* string);

/// For types that only this module makes objects of; before 3.10 their constructor makes what they could not stand.
#if PY_VERSION_HEX >= 0x030a0000
inline constexpr unsigned no_constructor = Py_TPFLAGS_DISALLOW_INSTANTIATION;
#else
inline constexpr unsigned no_constructor = 1U << 7U;  // the same bit; add_type() sees to it
#endif

/// Makes a type and puts it into the module. The reference that is returned is for ever.
PyTypeObject* add_type(PyObject* module, const char* name, PyType_Spec& spec);

/// A function for PyMethodDef, whatever it takes.
template <class Function>
PyCFunction as_method(Function function) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

/// Runs the body of a function that Python calls: no C++ exception gets past it, but for the unwinding of a thread that the
/// interpreter ends.
template <class Function>
PyObject* guard(Function function) {
  try {
    return function().release();
  } catch (const abi::__forced_unwind&) {
    throw;
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
