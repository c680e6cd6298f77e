// JSON text from and to Python objects, with no value type in between: as json.loads and json.dumps would, by the
// rules of framecall/json_text.hpp. Everything here needs the GIL.
#pragma once

#include <string>
#include <string_view>

#include "framecall/detail/json_reader.hpp"
#include "types/object.hpp"

namespace framecall::python {

/// A builder for JsonReader. `text` is what is read; it must not change meanwhile.
class ObjectBuilder {
 public:
  explicit ObjectBuilder(std::string_view text) : begin_(text.data()) {}

  Ref null() { return borrow(Py_None); }
  Ref boolean(bool value) { return borrow(value ? Py_True : Py_False); }
  Ref integer(std::string_view digits);
  Ref real(std::string_view number) { return own(PyFloat_FromDouble(to_double(number))); }
  Ref special(double nan_or_infinity) { return own(PyFloat_FromDouble(nan_or_infinity)); }
  Ref string(const StringToken& token);
  Ref list() { return own(PyList_New(0)); }
  void append(Ref& list, Ref value) {
    if (PyList_Append(list.get(), value.get()) != 0) throw PyError();
  }
  Ref object() { return own(PyDict_New()); }
  Ref key(const StringToken& token);
  void set(Ref& object, Ref key, Ref value) {
    if (PyDict_SetItem(object.get(), key.get(), value.get()) != 0) throw PyError();
  }
  Ref finish(Ref value) { return value; }

 private:
  const char* begin_;
  std::string scratch_;
};

/// The dict that `text` stands for. Throws ProtocolError: parse_error for what json.loads refuses and for nesting
/// beyond max_depth, invalid_request for what is no object.
Ref read_header(std::string_view text);

/// Any value; nesting and errors the same.
Ref read_value(std::string_view text);

/// Appends the text of `value`, whose own level is `depth` (1 at the top). Throws PyError: TypeError for what no JSON
/// stands for, ValueError for nesting beyond max_depth and for integers beyond Python's own limit of digits.
void write_value(std::string& out, PyObject* value, int depth);

/// The same for a header: TypeError unless it is a dict.
void write_header(std::string& out, PyObject* header);

/// The text of a str in quotes, ASCII.
void write_text(std::string& out, PyObject* string);

/// A string to write into, empty, with the memory of the last one that was here: saves the allocation per message.
class Scratch {
 public:
  Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch();
  std::string text;
};

}  // namespace framecall::python
