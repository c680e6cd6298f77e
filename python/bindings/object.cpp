#include "object.hpp"

#include <new>
#include <stdexcept>
#include <system_error>

#include "framecall/error.hpp"

namespace framecall::python {
namespace {

PyObject* protocol_error_class = nullptr;  // never freed: statics outlive the interpreter

void set_protocol_error(const ProtocolError& error) {
  PyObject* const exception =
      PyObject_CallFunction(protocol_error_class, "siK", error.what(), static_cast<int>(error.code()),
                            static_cast<unsigned long long>(error.offset()));
  if (exception == nullptr) return;
  PyErr_SetObject(protocol_error_class, exception);
  Py_DECREF(exception);
}

// OSError picks the subclass for the errno: ConnectionRefusedError, TimeoutError.
void set_os_error(const std::system_error& error) {
  PyObject* const exception = PyObject_CallFunction(PyExc_OSError, "is", error.code().value(), error.what());
  if (exception == nullptr) return;
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception)), exception);
  Py_DECREF(exception);
}

}  // namespace

void import_errors() {
  const Ref errors = own(PyImport_ImportModule("framecall._errors"));
  protocol_error_class = own(PyObject_GetAttrString(errors.get(), "ProtocolError")).release();
}

void set_python_error() noexcept {
  try {
    throw;
  } catch (const PyError&) {
  } catch (const ProtocolError& error) {
    set_protocol_error(error);
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::system_error& error) {
    set_os_error(error);
  } catch (const std::logic_error& error) {  // misuse by the caller
    PyErr_SetString(PyExc_ValueError, error.what());
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
}

}  // namespace framecall::python
