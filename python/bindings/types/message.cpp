#include "types/message.hpp"

#include <structmember.h>

#include <cstddef>
#include <new>
#include <utility>

#include "json/json_python.hpp"

namespace framecall::python {
namespace {

// ---- Body: bytes that belong to nobody else

struct Body {
  PyObject head;
  Buffer bytes;
};

PyTypeObject* body_type = nullptr;

int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  static char nothing = 0;
  Buffer& bytes = reinterpret_cast<Body*>(self)->bytes;
  char* const data = bytes.empty() ? &nothing : bytes.data();
  return PyBuffer_FillInfo(view, self, data, static_cast<Py_ssize_t>(bytes.size()), 0, flags);
}

void deallocate_body(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  std::destroy_at(&reinterpret_cast<Body*>(self)->bytes);
  type->tp_free(self);
  Py_DECREF(type);
}

PyType_Slot body_slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(deallocate_body)},
                            {Py_bf_getbuffer, reinterpret_cast<void*>(get_buffer)},
                            {0, nullptr}};
PyType_Spec body_spec{"framecall._core.Body", sizeof(Body), 0, Py_TPFLAGS_DEFAULT | no_constructor, body_slots};

// ---- Held: the bytes of another object, without its format and its dimensions

struct Held {
  PyObject head;
  std::optional<BytesLike> bytes;
};

PyTypeObject* held_type = nullptr;

int get_held_buffer(PyObject* self, Py_buffer* view, int flags) {
  const BytesLike& bytes = *reinterpret_cast<Held*>(self)->bytes;
  return PyBuffer_FillInfo(view, self, const_cast<char*>(bytes.data()), static_cast<Py_ssize_t>(bytes.size()), 1,
                           flags);
}

void deallocate_held(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  std::destroy_at(&reinterpret_cast<Held*>(self)->bytes);
  type->tp_free(self);
  Py_DECREF(type);
}

PyType_Slot held_slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(deallocate_held)},
                            {Py_bf_getbuffer, reinterpret_cast<void*>(get_held_buffer)},
                            {0, nullptr}};
PyType_Spec held_spec{"framecall._core.Held", sizeof(Held), 0, Py_TPFLAGS_DEFAULT | no_constructor, held_slots};

// ---- Reply and Part: a value and a body

struct Message {
  PyObject head;
  PyObject* value;
  PyObject* body;  // null: none
  std::string metadata, layout;
};

PyTypeObject* reply_type = nullptr;
PyTypeObject* part_type = nullptr;

Message* as_message(PyObject* self) { return reinterpret_cast<Message*>(self); }

int message_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(as_message(self)->value);
  return 0;
}

void message_deallocate(PyObject* self) {
  PyObject_GC_UnTrack(self);
  Message* const message = as_message(self);
  PyTypeObject* const type = Py_TYPE(self);
  Py_XDECREF(message->value);
  Py_XDECREF(message->body);
  std::destroy_at(&message->metadata);
  std::destroy_at(&message->layout);
  type->tp_free(self);
  Py_DECREF(type);
}

Ref make_message(PyTypeObject* type, std::string_view value, Buffer body, std::string metadata, std::string layout) {
  Ref made = read_value(value);
  Ref bytes = body.empty() ? Ref() : make_body(std::move(body));
  Ref self = own(type->tp_alloc(type, 0));
  Message* const message = as_message(self.get());
  new (&message->metadata) std::string(std::move(metadata));
  new (&message->layout) std::string(std::move(layout));
  message->value = made.release();
  message->body = bytes.release();
  return self;
}

Ref body_view(PyObject* self) {
  PyObject* const body = as_message(self)->body;
  return body != nullptr ? own(PyMemoryView_FromObject(body)) : view_of(Buffer());
}

Ref layout_dict(PyObject* self) {
  const std::string& layout = as_message(self)->layout;
  return layout.empty() ? own(PyDict_New()) : read_value(layout);
}

PyObject* body(PyObject* self, void*) {
  return guard([&] { return body_view(self); });
}

PyObject* metadata(PyObject* self, void*) {
  return guard([&] {
    const std::string& text = as_message(self)->metadata;
    return text.empty() ? own(PyDict_New()) : read_value(text);
  });
}

template <int Name>
PyObject* arrays(PyObject* self, PyObject*) {
  return guard([&] {
    const Ref make = function_of("_arrays", Name == 0 ? "array" : "arrays");
    return own(PyObject_CallFunctionObjArgs(make.get(), body_view(self).get(), layout_dict(self).get(), nullptr));
  });
}

PyObject* message_represent(PyObject* self) {
  return guard([&] {
    const Message* const message = as_message(self);
    const Py_ssize_t size = PyMemoryView_GET_BUFFER(body_view(self).get())->len;
    const char* const key = Py_TYPE(self) == reply_type ? "result" : "value";
    const char* const name = Py_TYPE(self) == reply_type ? "Reply" : "Part";
    return own(PyUnicode_FromFormat("<framecall.%s %s=%R, body of %zd bytes>", name, key, message->value, size));
  });
}

PyMethodDef message_methods[] = {{"array", arrays<0>, METH_NOARGS,
                                  "array($self, /)\n--\n\n"
                                  "The body as the NumPy array that was sent, by the `dtype` and `shape` of the "
                                  "header; of a body without them one of\n"
                                  "bytes. Not copied: it shares memory with `body`, and is writable. Raises "
                                  "ProtocolError for a header that lies about\n"
                                  "dtype or shape, ImportError without NumPy.\n"},
                                 {"arrays", arrays<1>, METH_NOARGS,
                                  "arrays($self, /)\n--\n\n"
                                  "The body as the NumPy arrays that were sent together, by name, by the `tensors` of "
                                  "the header. Not copied. Raises\n"
                                  "ProtocolError for what has none or lies about them, ImportError without NumPy.\n"},
                                 {}};

PyMemberDef reply_members[] = {
    {"result", T_OBJECT, offsetof(Message, value), READONLY, "The result: what json.loads makes of it."}, {}};
PyMemberDef part_members[] = {
    {"value", T_OBJECT, offsetof(Message, value), READONLY, "The value: what json.loads makes of it."}, {}};

PyGetSetDef part_properties[] = {
    {"body", body, nullptr,
     "The raw bytes: a writable memoryview, the first byte 64-byte aligned; empty if there are none.", nullptr},
    {}};
PyGetSetDef reply_properties[] = {
    part_properties[0],
    {"metadata", metadata, nullptr, "The metadata of the reply: a dict of strings, empty if there is none.", nullptr},
    {}};

PyType_Slot reply_slots[] = {{Py_tp_doc, const_cast<char*>("What a method answered: a result, and perhaps a body.")},
                             {Py_tp_dealloc, reinterpret_cast<void*>(message_deallocate)},
                             {Py_tp_traverse, reinterpret_cast<void*>(message_traverse)},
                             {Py_tp_repr, reinterpret_cast<void*>(message_represent)},
                             {Py_tp_methods, message_methods},
                             {Py_tp_members, reply_members},
                             {Py_tp_getset, reply_properties},
                             {0, nullptr}};
PyType_Slot part_slots[] = {{Py_tp_doc, const_cast<char*>("A part of a stream: a value, and perhaps a body.")},
                            {Py_tp_dealloc, reinterpret_cast<void*>(message_deallocate)},
                            {Py_tp_traverse, reinterpret_cast<void*>(message_traverse)},
                            {Py_tp_repr, reinterpret_cast<void*>(message_represent)},
                            {Py_tp_methods, message_methods},
                            {Py_tp_members, part_members},
                            {Py_tp_getset, part_properties},
                            {0, nullptr}};
constexpr unsigned message_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | no_constructor;
PyType_Spec reply_spec{"framecall.Reply", sizeof(Message), 0, message_flags, reply_slots};
PyType_Spec part_spec{"framecall.Part", sizeof(Message), 0, message_flags, part_slots};

}  // namespace

void add_messages(PyObject* module) {
  body_type = add_type(module, "Body", body_spec);
  held_type = add_type(module, "Held", held_spec);
  reply_type = add_type(module, "Reply", reply_spec);
  part_type = add_type(module, "Part", part_spec);
}

Ref make_body(Buffer bytes) {
  Ref self = own(body_type->tp_alloc(body_type, 0));
  new (&reinterpret_cast<Body*>(self.get())->bytes) Buffer(std::move(bytes));
  return self;
}

Ref view_of(Buffer bytes) { return own(PyMemoryView_FromObject(make_body(std::move(bytes)).get())); }

Ref bytes_of(PyObject* source) {
  Ref self = own(held_type->tp_alloc(held_type, 0));
  new (&reinterpret_cast<Held*>(self.get())->bytes) std::optional<BytesLike>();
  reinterpret_cast<Held*>(self.get())->bytes.emplace(source);
  return own(PyMemoryView_FromObject(self.get()));
}

Ref make_reply(Response&& response) {
  return make_message(reply_type, response.result, std::move(response.body), std::move(response.metadata),
                      std::move(response.layout));
}

Ref make_part(Part&& part) {
  return make_message(part_type, part.value, std::move(part.body), {}, std::move(part.layout));
}

Ref plain_value(Response&& response) {
  const bool has_body = !response.body.empty() || !response.layout.empty();
  if (!has_body || response.result != "null") return read_value(response.result);
  return body_value(std::move(response.body), response.layout);
}

Ref body_value(Buffer body, const std::string& layout) {
  Ref view = view_of(std::move(body));
  if (layout.empty()) return view;
  const Ref make = function_of("_arrays", "value");
  return own(PyObject_CallFunctionObjArgs(make.get(), view.get(), read_value(layout).get(), nullptr));
}

// ---- what a caller gives

OutBody::OutBody(PyObject* object) {
  if (object == nullptr || object == Py_None) return;
  source_ = borrow(object);
  if (!PyBytes_CheckExact(object) && !PyByteArray_CheckExact(object) && !PyMemoryView_Check(object)) {
    const Ref describe = function_of("_arrays", "describe");
    const Ref described = own(PyObject_CallOneArg(describe.get(), object));
    if (described.get() != Py_None) {
      source_ = borrow(PyTuple_GET_ITEM(described.get(), 0));
      layout_ = text_of(PyTuple_GET_ITEM(described.get(), 1));
    } else if (!PyObject_CheckBuffer(object)) {
      raise(PyExc_TypeError, "a body must be bytes-like, an array or a dict of arrays, not %.100s",
            Py_TYPE(object)->tp_name);
    }
  }
  bytes_.emplace(source_.get());
}

}  // namespace framecall::python
