#include "types/events.hpp"

#include <structmember.h>

#include <cstddef>
#include <string>

namespace framecall::python {
namespace {

// All four types have this layout; the ones with fewer fields leave the rest null.
struct Event {
  PyObject head;
  PyObject* fields[2];
};

struct Field {
  const char* name;
  PyTypeObject* type;  // what the constructor takes
};

struct EventType {
  const char* name;
  const char* signature;  // for PyArg_ParseTupleAndKeywords
  Field fields[3];        // ends with a nameless one
  PyTypeObject* type = nullptr;
};

EventType header_received_type{
    "HeaderReceived", "O!O!:HeaderReceived", {{"header", &PyDict_Type}, {"body_size", &PyLong_Type}}};
EventType body_received_type{"BodyReceived", "O!:BodyReceived", {{"data", &PyBytes_Type}}};
EventType end_of_message_type{"EndOfMessage", ":EndOfMessage", {}};
EventType connection_closed_type{"ConnectionClosed", ":ConnectionClosed", {}};
EventType* const event_types[] = {&header_received_type, &body_received_type, &end_of_message_type,
                                  &connection_closed_type};

PyObject* the_end_of_message = nullptr;  // without fields one is as good as any other
PyObject* the_connection_closed = nullptr;
PyObject* the_need_data = nullptr;

Event* as_event(PyObject* self) { return reinterpret_cast<Event*>(self); }

const EventType& type_of(PyObject* self) {
  for (const EventType* type : event_types) {
    if (type->type == Py_TYPE(self)) return *type;
  }
  return end_of_message_type;  // not reached: the types are final
}

Ref make(const EventType& type, Ref first = {}, Ref second = {}) {
  Ref self = own(type.type->tp_alloc(type.type, 0));
  as_event(self.get())->fields[0] = first.release();
  as_event(self.get())->fields[1] = second.release();
  return self;
}

PyObject* new_event(PyTypeObject* python_type, PyObject* positional, PyObject* named) {
  return guard([&] {
    for (const EventType* type : event_types) {
      if (type->type != python_type) continue;
      const Field* const fields = type->fields;
      const char* names[] = {fields[0].name, fields[1].name, nullptr};
      PyObject* values[2] = {};
      // A type without fields takes no more of these arguments than its signature says.
      if (!PyArg_ParseTupleAndKeywords(positional, named, type->signature, const_cast<char**>(names), fields[0].type,
                                       &values[0], fields[1].type, &values[1])) {
        throw PyError();
      }
      Py_XINCREF(values[0]);
      Py_XINCREF(values[1]);
      return make(*type, Ref(values[0]), Ref(values[1]));
    }
    raise(PyExc_TypeError, "not a type of event");
  });
}

int event_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  for (PyObject* field : as_event(self)->fields) Py_VISIT(field);
  return 0;
}

int event_clear(PyObject* self) {
  for (PyObject*& field : as_event(self)->fields) Py_CLEAR(field);
  return 0;
}

void event_deallocate(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  if (PyType_IS_GC(type)) PyObject_GC_UnTrack(self);
  event_clear(self);
  type->tp_free(self);
  Py_DECREF(type);
}

// A large body is told by its size and its beginning.
Ref represent_field(PyObject* value) {
  constexpr Py_ssize_t shown = 60;
  if (!PyBytes_Check(value) || PyBytes_GET_SIZE(value) <= shown) return own(PyObject_Repr(value));
  const Ref beginning = own(PyBytes_FromStringAndSize(PyBytes_AS_STRING(value), shown));
  return own(PyUnicode_FromFormat("<%zd bytes: %R...>", PyBytes_GET_SIZE(value), beginning.get()));
}

PyObject* event_represent(PyObject* self) {
  return guard([&] {
    const int entered = Py_ReprEnter(self);  // a header may have been made to hold its own event
    if (entered < 0) throw PyError();
    if (entered > 0) return own(PyUnicode_FromFormat("%s(...)", type_of(self).name));
    struct Leave {
      PyObject* self;
      ~Leave() { Py_ReprLeave(self); }
    } const leave{self};
    Ref text = own(PyUnicode_FromFormat("%s(", type_of(self).name));
    for (int i = 0; i < 2 && as_event(self)->fields[i] != nullptr; ++i) {
      const Ref value = represent_field(as_event(self)->fields[i]);
      text = own(
          PyUnicode_FromFormat("%U%s%s=%U", text.get(), i > 0 ? ", " : "", type_of(self).fields[i].name, value.get()));
    }
    return own(PyUnicode_FromFormat("%U)", text.get()));
  });
}

PyObject* compare(PyObject* self, PyObject* other, int operation) {
  if ((operation != Py_EQ && operation != Py_NE) || Py_TYPE(self) != Py_TYPE(other)) Py_RETURN_NOTIMPLEMENTED;
  bool equal = true;
  for (int i = 0; i < 2 && equal; ++i) {
    PyObject* const ours = as_event(self)->fields[i];
    PyObject* const theirs = as_event(other)->fields[i];
    if (ours == theirs || ours == nullptr || theirs == nullptr) {
      equal = ours == theirs;
      continue;
    }
    const int result = PyObject_RichCompareBool(ours, theirs, Py_EQ);
    if (result < 0) return nullptr;
    equal = result > 0;
  }
  return PyBool_FromLong(equal == (operation == Py_EQ));
}

// Copies and pickles are made of the values of the fields.
PyObject* reduce(PyObject* self, PyObject*) {
  return guard([&] {
    const auto& fields = as_event(self)->fields;
    const Py_ssize_t count = (fields[0] != nullptr) + (fields[1] != nullptr);
    Ref values = own(PyTuple_New(count));
    for (Py_ssize_t i = 0; i < count; ++i) PyTuple_SET_ITEM(values.get(), i, borrow(fields[i]).release());
    return own(PyTuple_Pack(2, reinterpret_cast<PyObject*>(Py_TYPE(self)), values.get()));
  });
}

PyMethodDef event_methods[] = {{"__reduce__", reduce, METH_NOARGS, nullptr}, {}};

void add_type(PyObject* module, EventType& event, const char* full_name, const char* documentation) {
  PyMemberDef members[3] = {};
  const int count = (event.fields[0].name != nullptr) + (event.fields[1].name != nullptr);
  Ref names = own(PyTuple_New(count));
  for (int i = 0; i < count; ++i) {
    const auto offset =
        static_cast<Py_ssize_t>(offsetof(Event, fields) + static_cast<std::size_t>(i) * sizeof(PyObject*));
    members[i] = {event.fields[i].name, T_OBJECT_EX, offset, READONLY, nullptr};
    PyTuple_SET_ITEM(names.get(), i, own(PyUnicode_InternFromString(event.fields[i].name)).release());
  }
  PyType_Slot slots[] = {{Py_tp_new, reinterpret_cast<void*>(new_event)},
                         {Py_tp_dealloc, reinterpret_cast<void*>(event_deallocate)},
                         {Py_tp_repr, reinterpret_cast<void*>(event_represent)},
                         {Py_tp_richcompare, reinterpret_cast<void*>(compare)},
                         {Py_tp_hash, reinterpret_cast<void*>(PyObject_HashNotImplemented)},
                         {Py_tp_methods, event_methods},
                         {Py_tp_members, members},
                         {Py_tp_doc, const_cast<char*>(documentation)},
                         {Py_tp_traverse, reinterpret_cast<void*>(event_traverse)},
                         {Py_tp_clear, reinterpret_cast<void*>(event_clear)},
                         {0, nullptr}};
  // Only a dict can be part of a cycle.
  const bool collected = event.fields[0].type == &PyDict_Type;
  if (!collected) slots[8] = {0, nullptr};
  PyType_Spec spec{full_name, sizeof(Event), 0,
                   static_cast<unsigned>(Py_TPFLAGS_DEFAULT | (collected ? Py_TPFLAGS_HAVE_GC : 0)), slots};
  Ref type = own(PyType_FromSpec(&spec));
  event.type = reinterpret_cast<PyTypeObject*>(type.get());
  if (PyObject_SetAttrString(type.get(), "__match_args__", names.get()) != 0 ||
      PyObject_SetAttrString(module, event.name, type.get()) != 0) {
    throw PyError();
  }
  type.release();  // kept for ever: statics outlive the interpreter
}

}  // namespace

void add_events(PyObject* module) {
  add_type(module, header_received_type, "framecall.HeaderReceived",
           "HeaderReceived(header, body_size)\n--\n\n"
           "The header of a message, a dict, and the size of the body that follows, in bytes.");
  add_type(module, body_received_type, "framecall.BodyReceived",
           "BodyReceived(data)\n--\n\n"
           "A piece of the body, never empty, cut wherever the stream was.");
  add_type(module, end_of_message_type, "framecall.EndOfMessage",
           "EndOfMessage()\n--\n\n"
           "The message is whole; also for one without a body.");
  add_type(module, connection_closed_type, "framecall.ConnectionClosed",
           "ConnectionClosed()\n--\n\n"
           "The stream has ended between two messages.");
  the_end_of_message = make(end_of_message_type).release();
  the_connection_closed = make(connection_closed_type).release();
  const Ref module_of_sentinel = own(PyImport_ImportModule("framecall._sentinel"));
  the_need_data = own(PyObject_GetAttrString(module_of_sentinel.get(), "NEED_DATA")).release();
}

Ref header_received(Ref header, std::uint64_t body_size) {
  return make(header_received_type, std::move(header), own(PyLong_FromUnsignedLongLong(body_size)));
}

Ref body_received(std::string_view data) {
  return make(body_received_type, own(PyBytes_FromStringAndSize(data.data(), static_cast<Py_ssize_t>(data.size()))));
}

Ref end_of_message() { return borrow(the_end_of_message); }
Ref connection_closed() { return borrow(the_connection_closed); }
Ref need_data() { return borrow(the_need_data); }

}  // namespace framecall::python
