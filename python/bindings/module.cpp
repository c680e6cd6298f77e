// The module framecall._core: pybind11 makes it, and turns C++ exceptions of its making into Python ones. What runs per
// message is added as plain C functions: a call through pybind11 costs 200 to 600 ns, as much as a header.
#include <pybind11/pybind11.h>

#include <cstring>
#include <string>

#include "client/async_call.hpp"
#include "client/client.hpp"
#include "client/files.hpp"
#include "client/plain_clients.hpp"
#include "client/retry.hpp"
#include "client/session.hpp"
#include "framecall/wire/frame.hpp"
#include "json/json_python.hpp"
#include "server/server.hpp"
#include "types/decoder.hpp"
#include "types/events.hpp"
#include "types/message.hpp"

namespace framecall::python {
namespace {

Ref to_bytes(std::string_view text) {
  return own(PyBytes_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size())));
}

PyObject* encode_header(PyObject*, PyObject* header) {
  return guard([&] {
    Scratch scratch;
    write_header(scratch.text, header);
    return to_bytes(scratch.text);
  });
}

PyObject* decode_header(PyObject*, PyObject* data) {
  return guard([&] {
    if (PyBytes_CheckExact(data)) {
      return read_header({PyBytes_AS_STRING(data), static_cast<std::size_t>(PyBytes_GET_SIZE(data))});
    }
    const BytesLike bytes(data);
    const std::string copy(bytes.data(), bytes.size());  // another thread might change a bytearray meanwhile
    return read_header(copy);
  });
}

// The arguments of encode_frame(header, body=b"", *, dialect="default").
struct FrameArguments {
  FrameArguments(PyObject* const* arguments, Py_ssize_t count, PyObject* names) {
    const Py_ssize_t named = names != nullptr ? PyTuple_GET_SIZE(names) : 0;
    if (count > 2) raise(PyExc_TypeError, "encode_frame() takes 1 or 2 arguments, not %zd", count + named);
    if (count > 0) header = arguments[0];
    if (count > 1) body = arguments[1];
    for (Py_ssize_t i = 0; i < named; ++i) {
      PyObject* const name = PyTuple_GET_ITEM(names, i);
      const auto is = [name](const char* one) { return PyUnicode_CompareWithASCIIString(name, one) == 0; };
      if (!is("header") && !is("body") && !is("dialect")) {
        raise(PyExc_TypeError, "encode_frame() has no argument %R", name);
      }
      PyObject*& value = is("header") ? header : is("body") ? body : dialect;
      if (value != nullptr) raise(PyExc_TypeError, "encode_frame() got %R twice", name);
      value = arguments[count + i];
    }
    if (header == nullptr) raise(PyExc_TypeError, "encode_frame() needs a header");
  }

  PyObject* header = nullptr;
  PyObject* body = nullptr;
  PyObject* dialect = nullptr;
};

PyObject* encode_frame(PyObject*, PyObject* const* arguments, Py_ssize_t count, PyObject* names) {
  return guard([&] {
    const FrameArguments given(arguments, count, names);
    Scratch scratch;
    write_header(scratch.text, given.header);
    const Dialect& dialect = given.dialect != nullptr ? framing_of(given.dialect) : default_dialect();
    const std::string head = encode_head(scratch.text, dialect.prefixes.front());
    if (given.body == nullptr) return to_bytes(head);
    const BytesLike body(given.body);
    Ref frame = own(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(head.size() + body.size())));
    char* const bytes = PyBytes_AS_STRING(frame.get());
    std::memcpy(bytes, head.data(), head.size());
    if (body.size() > 0) std::memcpy(bytes + head.size(), body.data(), body.size());
    return frame;
  });
}

PyMethodDef functions[] = {
    {"encode_header", encode_header, METH_O,
     "encode_header($module, header, /)\n--\n\n"
     "The JSON text of a header, as `json.dumps(header).encode()` writes it, without the 4 bytes in front.\n"
     "Raises TypeError if it is no dict or if something in it has no JSON, ValueError if it is nested deeper than\n"
     "MAX_DEPTH (or circular) or has an integer of more digits than Python's own limit, 4300.\n"
     "\n"
     ">>> framecall.encode_header({\"method\": \"upper\", \"id\": 1})\n"
     "b'{\"method\": \"upper\", \"id\": 1}'\n"},
    {"decode_header", decode_header, METH_O,
     "decode_header($module, data, /)\n--\n\n"
     "The dict that a header's JSON text stands for, as `json.loads(data.decode())` reads it. `data` is any "
     "bytes-like\n"
     "object, without the 4 bytes in front. Raises ProtocolError, which is a ValueError: code -32700 for what\n"
     "json.loads refuses and for nesting deeper than MAX_DEPTH, -32600 for JSON that is no object.\n"
     "\n"
     ">>> framecall.decode_header(b'{\"id\": 1, \"result\": [null, 2.5]}')\n"
     "{'id': 1, 'result': [None, 2.5]}\n"
     ">>> framecall.decode_header(b'{\"id\": 1,}')\n"
     "Traceback (most recent call last):\n"
     "  ...\n"
     "framecall.ProtocolError: not JSON: expecting a key in double quotes at byte 9\n"},
    {"encode_frame", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(encode_frame)),
     METH_FASTCALL | METH_KEYWORDS,
     "encode_frame($module, /, header, body=b\"\", *, dialect=\"default\")\n--\n\n"
     "A whole frame: the size of the header's text in 4 bytes, little-endian, the text, the body (any bytes-like\n"
     "object). `dialect`: the name or the path of one that writes sizes another way, see Decoder. The header is\n"
     "written as it is given: `body_size` is yours to set. Raises what encode_header() raises, and ValueError for a\n"
     "header whose text is larger than 2**24 - 1 bytes, or than a dialect has room for.\n"
     "\n"
     ">>> framecall.encode_frame({\"id\": 1, \"body_size\": 2}, b\"hi\")\n"
     "b'\\x19\\x00\\x00\\x00{\"id\": 1, \"body_size\": 2}hi'\n"},
};

void add_functions(PyObject* module) {
  const Ref package = own(PyUnicode_InternFromString("framecall"));  // where users find them
  for (PyMethodDef& function : functions) {
    const Ref object = own(PyCFunction_NewEx(&function, module, package.get()));
    if (PyObject_SetAttrString(module, function.ml_name, object.get()) != 0) throw PyError();
  }
}

}  // namespace
}  // namespace framecall::python

PYBIND11_MODULE(_core, module) {
  using namespace framecall::python;
  module.doc() = "The compiled part of framecall. Import framecall instead.";
  module.attr("MAX_DEPTH") = framecall::max_depth;
  try {
    import_errors();
    add_functions(module.ptr());
    add_events(module.ptr());
    add_decoder(module.ptr());
    add_messages(module.ptr());
    add_client(module.ptr());
    add_session(module.ptr());
    add_async_call(module.ptr());
    add_files(module);
    add_retry(module);
    add_server(module);
    add_plain_clients(module.ptr());
  } catch (const PyError&) {
    throw pybind11::error_already_set();
  }
}
