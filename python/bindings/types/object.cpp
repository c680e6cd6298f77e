#include "types/object.hpp"

#include <new>
#include <stdexcept>
#include <string>
#include <system_error>

#include "framecall/client_options.hpp"
#include "framecall/error.hpp"
#include "json/json_python.hpp"

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

void set_remote_error(const RemoteError& error) {
  const Ref make(function_of("_errors", "remote_error"));
  Ref data = error.data().empty() ? none() : read_value(error.data());
  const Ref exception = own(PyObject_CallFunction(make.get(), "LOO", static_cast<long long>(error.code()),
                                                  to_str(error.what()).get(), data.get()));
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.get())), exception.get());
}

void set_unavailable(const UnavailableError& error) {
  const Ref type(function_of("_errors", "UnavailableError"));
  const Ref exception = own(PyObject_CallFunction(type.get(), "is", error.code().value(), error.what()));
  PyErr_SetObject(type.get(), exception.get());
}

// OSError picks the subclass for the errno: ConnectionRefusedError, TimeoutError.
void set_os_error(const std::system_error& error) {
  if (error.code().category() == lookup_category()) {
    const Ref socket = own(PyImport_ImportModule("socket")),
              type = own(PyObject_GetAttrString(socket.get(), "gaierror"));
    const Ref exception = own(PyObject_CallFunction(type.get(), "is", error.code().value(), error.what()));
    PyErr_SetObject(type.get(), exception.get());
    return;
  }
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

Ref function_of(const char* module, const char* name) {
  const Ref found = own(PyImport_ImportModule((std::string("framecall.") + module).c_str()));
  return own(PyObject_GetAttrString(found.get(), name));
}

Ref stop_value() {
  if (!PyErr_ExceptionMatches(PyExc_StopIteration)) throw PyError();
  PyObject *type = nullptr, *error = nullptr, *trace = nullptr;
  PyErr_Fetch(&type, &error, &trace);
  PyErr_NormalizeException(&type, &error, &trace);
  const Ref kept_type(type), kept_error(error), kept_trace(trace);
  return own(PyObject_GetAttrString(error, "value"));
}

namespace {

#if PY_VERSION_HEX < 0x030a0000
PyObject* refuse_construction(PyTypeObject* type, PyObject*, PyObject*) {
  PyErr_Format(PyExc_TypeError, "cannot create '%.100s' instances", type->tp_name);
  return nullptr;
}
#endif

}  // namespace

PyTypeObject* add_type(PyObject* module, const char* name, PyType_Spec& spec) {
  const Ref type = own(PyType_FromSpec(&spec));
  auto* const made = reinterpret_cast<PyTypeObject*>(type.get());
#if PY_VERSION_HEX < 0x030a0000
  if ((spec.flags & no_constructor) != 0) made->tp_new = refuse_construction;
#endif
  if (PyObject_SetAttrString(module, name, type.get()) != 0) throw PyError();
  Py_INCREF(type.get());
  return made;
}

std::string_view text_of(PyObject* string) {
  Py_ssize_t size = 0;
  const char* const text = PyUnicode_AsUTF8AndSize(string, &size);
  if (text == nullptr) throw PyError();
  return {text, static_cast<std::size_t>(size)};
}

void set_python_error() noexcept {
  try {
    throw;
  } catch (const PyError&) {
  } catch (const ProtocolError& error) {
    set_protocol_error(error);
  } catch (const RemoteError& error) {
    try {
      set_remote_error(error);
    } catch (...) {  // no memory, most likely
    }
  } catch (const CallError& error) {  // of a handler's stream: its caller is gone
    try {
      set_remote_error(RemoteError(static_cast<std::int64_t>(error.code()), error.what(), error.data()));
    } catch (...) {
    }
  } catch (const UnavailableError& error) {
    try {
      set_unavailable(error);
    } catch (...) {
    }
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::system_error& error) {
    try {
      set_os_error(error);
    } catch (...) {  // no memory, most likely
    }
  } catch (const std::logic_error& error) {  // misuse by the caller
    PyErr_SetString(PyExc_ValueError, error.what());
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
}

}  // namespace framecall::python
