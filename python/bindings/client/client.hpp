// framecall.Client's compiled part, its pipelines and streams.
#pragma once

#include <Python.h>

#include <chrono>
#include <optional>
#include <string>

#include "framecall/client_options.hpp"
#include "types/message.hpp"
#include "types/object.hpp"

namespace framecall::python {

void add_client(PyObject* module);

/// The arguments of call(method, *args, body=None, timeout=None, metadata=None, **params), and of those like it.
struct CallArguments {
  /// Writes the params into `params`. Throws PyError.
  CallArguments(const char* function, PyObject* const* arguments, Py_ssize_t count, PyObject* names,
                std::string& params);

  std::string_view method;
  PyObject* body = nullptr;
  PyObject* timeout = nullptr;
  PyObject* metadata = nullptr;
};

/// The arguments of request(method, params=None, *, ...).
struct RequestArguments {
  /// As CallArguments().
  RequestArguments(const char* function, PyObject* const* arguments, Py_ssize_t count, PyObject* names,
                   std::string& params);

  std::string_view method;
  PyObject* body = nullptr;
  PyObject* timeout = nullptr;
  PyObject* metadata = nullptr;
  bool idempotent = false, digest = false, sending = false;
};

/// Seconds as a caller gives them; None: 0. Throws PyError.
std::chrono::milliseconds to_timeout(PyObject* seconds);

/// Appends the text of params that are a list, a tuple or a dict; nothing for None. Throws PyError: TypeError that names the
/// path to what has no JSON.
void write_params(std::string& out, PyObject* params);

inline constexpr int params_depth = 2;  // the header is level 1

/// Appends the text of `value`, which is `whole` or in it. Throws PyError: TypeErrors name the path, which begins with `path`.
void write_named_value(std::string& out, PyObject* value, int depth, PyObject* whole, const char* path);

/// `layout`: of the body.
CallOptions make_options(PyObject* timeout, PyObject* metadata, const std::string& layout);

/// The limits of a client: keyword arguments of its constructor.
struct ClientArguments {
  ClientArguments(PyObject* arguments, PyObject* named, const char* format);
  PyObject* address = nullptr;
  ClientOptions options;
};

}  // namespace framecall::python
