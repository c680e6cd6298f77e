#include "json/json_python.hpp"

#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>

namespace framecall::python {

// ---- reading

namespace {

Ref ascii_string(std::string_view text) {
  Ref string = own(PyUnicode_New(static_cast<Py_ssize_t>(text.size()), 127));
  std::memcpy(PyUnicode_1BYTE_DATA(string.get()), text.data(), text.size());
  return string;
}

// surrogatepass: escapes may have made lone surrogates.
Ref wide_string(std::string_view text) {
  return own(PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "surrogatepass"));
}

// Keys come again with every message: this saves the allocation and the hash. Of the keys with one hash the last one
// stays, so that a peer with keys of its own fills no memory. They are not interned: interned strings may live forever.
class KeyCache {
 public:
  Ref find(std::string_view text) {
    Slot& slot = slots_[hash(text)];
    if (slot.size == text.size() && std::memcmp(slot.text, text.data(), text.size()) == 0) return borrow(slot.key);
    Ref key = ascii_string(text);
    Ref old(slot.key);
    slot.key = borrow(key.get()).release();
    slot.size = static_cast<unsigned char>(text.size());
    std::memcpy(slot.text, text.data(), text.size());
    return key;
  }
  static bool fits(std::string_view text) { return !text.empty() && text.size() <= sizeof Slot::text; }

 private:
  struct Slot {
    PyObject* key = nullptr;
    unsigned char size = 0;
    char text[23];
  };
  static constexpr std::size_t slot_count = 512;

  // Three characters tell most keys apart; those that it does not only lose their place to each other.
  static std::size_t hash(std::string_view text) {
    const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const std::size_t size = text.size();
    return (size + at(0) * 31u + at(size / 2) * 67u + at(size - 1) * 131u) % slot_count;
  }

  std::array<Slot, slot_count> slots_;
};

KeyCache& key_cache() {
  static KeyCache* const cache = new KeyCache;  // never freed: statics outlive the interpreter
  return *cache;
}

}  // namespace

Ref ObjectBuilder::integer(std::string_view digits) {
  if (digits.size() <= 18) {
    long long value = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return own(PyLong_FromLongLong(value));
  }
  scratch_ = digits;
  PyObject* const value = PyLong_FromString(scratch_.c_str(), nullptr, 10);
  if (value == nullptr && PyErr_ExceptionMatches(PyExc_ValueError)) {  // a lower limit than ours is set
    PyErr_Clear();
    throw ProtocolError(ErrorCode::parse_error, static_cast<std::uint64_t>(digits.data() - begin_),
                        "an integer of " + std::to_string(digits.size()) + " digits: more than Python's limit");
  }
  return own(value);
}

Ref ObjectBuilder::string(const StringToken& token) {
  if (!token.escaped) return token.ascii ? ascii_string(token.raw) : wide_string(token.raw);
  scratch_.clear();
  return decode_string(token.raw, scratch_) ? ascii_string(scratch_) : wide_string(scratch_);
}

Ref ObjectBuilder::key(const StringToken& token) {
  if (token.escaped || !token.ascii || !KeyCache::fits(token.raw)) return string(token);
  return key_cache().find(token.raw);
}

Ref read_header(std::string_view text) {
  JsonReader reader(text);
  ObjectBuilder builder(text);
  Ref header = reader.document(builder);
  if (!PyDict_CheckExact(header.get())) {
    throw ProtocolError(ErrorCode::invalid_request, 0, "the header is JSON but not an object");
  }
  return header;
}

Ref read_value(std::string_view text) {
  JsonReader reader(text);
  ObjectBuilder builder(text);
  return reader.document(builder);
}

// ---- writing

namespace {

template <class Unit>
void write_units(std::string& out, const Unit* at, const Unit* end) {
  for (; at < end; ++at) write_code_point(out, *at);
}

}  // namespace

void write_text(std::string& out, PyObject* text) {
#if PY_VERSION_HEX < 0x030c0000
  if (PyUnicode_READY(text) != 0) throw PyError();
#endif
  const Py_ssize_t size = PyUnicode_GET_LENGTH(text);
  const void* const data = PyUnicode_DATA(text);
  out += '"';
  switch (PyUnicode_KIND(text)) {
    case PyUnicode_1BYTE_KIND: {
      const auto* at = static_cast<const char*>(data);
      const auto* const end = at + size;
      while (at < end) {
        const char* const plain = at;
        at = find_special(at, end);
        out.append(plain, at);
        if (at < end) write_code_point(out, static_cast<unsigned char>(*at++));
      }
      break;
    }
    case PyUnicode_2BYTE_KIND:
      write_units(out, static_cast<const Py_UCS2*>(data), static_cast<const Py_UCS2*>(data) + size);
      break;
    default: write_units(out, static_cast<const Py_UCS4*>(data), static_cast<const Py_UCS4*>(data) + size);
  }
  out += '"';
}

namespace {

void write_int(std::string& out, PyObject* value) {
  int overflow = 0;
  const long long small = PyLong_AsLongLongAndOverflow(value, &overflow);
  if (overflow == 0) {
    if (small == -1 && PyErr_Occurred() != nullptr) throw PyError();
    write_integer(out, static_cast<std::int64_t>(small));
    return;
  }
  const Ref digits = own(PyLong_Type.tp_repr(value));  // not repr(): subclasses such as enums have their own
  out.append(reinterpret_cast<const char*>(PyUnicode_1BYTE_DATA(digits.get())),
             static_cast<std::size_t>(PyUnicode_GET_LENGTH(digits.get())));
}

// Everything but containers; false if it is none of these.
bool write_scalar(std::string& out, PyObject* value) {
  if (PyUnicode_Check(value)) {
    write_text(out, value);
  } else if (value == Py_None) {
    out += "null";
  } else if (value == Py_True) {
    out += "true";
  } else if (value == Py_False) {
    out += "false";
  } else if (PyLong_Check(value)) {
    write_int(out, value);
  } else if (PyFloat_Check(value)) {
    write_double(out, PyFloat_AS_DOUBLE(value));
  } else {
    return false;
  }
  return true;
}

void write_key(std::string& out, PyObject* key) {
  if (PyUnicode_Check(key)) return write_text(out, key);
  out += '"';
  if (!write_scalar(out, key)) {
    raise(PyExc_TypeError, "keys must be str, int, float, bool or None, not %.100s", Py_TYPE(key)->tp_name);
  }
  out += '"';
}

void check_depth(int depth) {
  if (depth > max_depth) raise(PyExc_ValueError, "nested deeper than %d levels, or circular", max_depth);
}

void write_member(std::string& out, PyObject* key, PyObject* value, int depth) {
  if (out.back() != '{') out += ", ";  // an opening brace is the only thing that can stand before the first one
  write_key(out, key);
  out += ": ";
  write_value(out, value, depth + 1);
}

// A subclass may have an items() of its own, which json.dumps asks.
void write_items(std::string& out, PyObject* dict, int depth) {
  const Ref items = own(PyMapping_Items(dict));
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(items.get()); ++i) {
    const Ref item = borrow(PyList_GET_ITEM(items.get(), i));
    if (!PyTuple_Check(item.get()) || PyTuple_GET_SIZE(item.get()) != 2) {
      raise(PyExc_ValueError, "items must return 2-tuples");
    }
    write_member(out, PyTuple_GET_ITEM(item.get(), 0), PyTuple_GET_ITEM(item.get(), 1), depth);
  }
}

void write_dict(std::string& out, PyObject* dict, int depth) {
  check_depth(depth);
  out += '{';
  if (!PyDict_CheckExact(dict)) {
    if (PyDict_GET_SIZE(dict) > 0) write_items(out, dict, depth);
  } else {
    Py_ssize_t position = 0;
    PyObject* key = nullptr;
    PyObject* value = nullptr;
    while (PyDict_Next(dict, &position, &key, &value)) {
      const Ref kept_key = borrow(key), kept_value = borrow(value);  // items() of a value may change this dict
      write_member(out, key, value, depth);
    }
  }
  out += '}';
}

// A subclass may have an __iter__() of its own, which json.dumps asks.
void write_sequence(std::string& out, PyObject* list_or_tuple, int depth) {
  check_depth(depth);
  const Ref items = own(PySequence_Fast(list_or_tuple, "_iterencode_list needs a sequence"));
  out += '[';
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items.get()); ++i) {  // the size may change meanwhile
    if (i > 0) out += ", ";
    const Ref item = borrow(PySequence_Fast_GET_ITEM(items.get(), i));
    write_value(out, item.get(), depth + 1);
  }
  out += ']';
}

// One of NumPy's numbers as one of Python's; null for everything else.
Ref number_of(PyObject* value) {
  static PyObject* const numpy_name = PyUnicode_InternFromString("numpy");
  PyObject* const numpy = PyDict_GetItemWithError(PyImport_GetModuleDict(), numpy_name);
  if (numpy == nullptr || numpy == Py_None) return Ref();
  const Ref generic = own(PyObject_GetAttrString(numpy, "generic"));
  const int is_one = PyObject_IsInstance(value, generic.get());
  if (is_one < 0) throw PyError();
  if (is_one == 0) return Ref();
  Ref item = own(PyObject_CallMethod(value, "item", nullptr));
  const bool fits = PyBool_Check(item.get()) || PyLong_CheckExact(item.get()) || PyFloat_CheckExact(item.get());
  return fits ? std::move(item) : Ref();
}

[[noreturn]] void refuse(PyObject* value) {
  const Ref type = own(PyObject_GetAttrString(value, "__class__"));
  const Ref name = own(PyObject_GetAttrString(type.get(), "__name__"));
  raise(PyExc_TypeError, "Object of type %S is not JSON serializable", name.get());
}

}  // namespace

void write_value(std::string& out, PyObject* value, int depth) {
  if (write_scalar(out, value)) return;
  if (PyDict_Check(value)) return write_dict(out, value, depth);
  if (PyList_Check(value) || PyTuple_Check(value)) return write_sequence(out, value, depth);
  const Ref number = number_of(value);
  if (!number) refuse(value);
  write_scalar(out, number.get());
}

void write_header(std::string& out, PyObject* header) {
  if (!PyDict_Check(header)) {
    raise(PyExc_TypeError, "a header must be a dict, not %.100s", Py_TYPE(header)->tp_name);
  }
  write_dict(out, header, 1);
}

// ---- the memory to write into

namespace {

constexpr std::size_t kept_capacity = 64 * 1024;

std::string& spare() {
  static std::string* const string = new std::string;
  return *string;
}

}  // namespace

// Taken out and put back, because items() of a subclass may come here again.
Scratch::Scratch() { text.swap(spare()); }

Scratch::~Scratch() {
  if (text.capacity() > kept_capacity) return;
  text.clear();
  text.swap(spare());
}

}  // namespace framecall::python
