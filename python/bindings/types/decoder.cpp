#include "types/decoder.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "framecall/wire/dialect_file.hpp"
#include "framecall/wire/frame.hpp"
#include "json/json_python.hpp"
#include "types/events.hpp"

namespace framecall::python {
namespace {

// What a Decoder object and the views of its block share. A view may outlive the Decoder: the block then stays.
struct DecoderState {
  DecoderState(std::uint32_t max_header, const Dialect& dialect) : decoder(max_header, dialect) {}

  framecall::Decoder decoder;
  Header header;
  std::optional<ProtocolError> error;  // final
  bool closed = false;
  Py_ssize_t exports = 0;      // buffers of the block that Python code holds
  std::size_t block_size = 0;  // that prepare() gives without moving the block, when all is used
  std::size_t space_size = 0;  // given by get_buffer() and not updated yet
  bool all_used = true;        // next_event() answered need_data, and nothing came since
  bool busy = false;
};

// A piece of the block, as an exporter of its buffer.
struct Space {
  PyObject head;
  std::shared_ptr<DecoderState> stream;
  char* data;
  Py_ssize_t size;
};

struct DecoderObject {
  PyObject head;
  std::shared_ptr<DecoderState> stream;
  PyObject* view;  // the memoryview that get_buffer() gave last: most reads get the same one again
  char* view_data;
};

PyTypeObject* space_type = nullptr;

DecoderObject* as_decoder(PyObject* self) { return reinterpret_cast<DecoderObject*>(self); }
Space* as_space(PyObject* self) { return reinterpret_cast<Space*>(self); }

// One use at a time: making Python objects can start the garbage collector, which can run any Python code, which can
// come here again.
class Use {
 public:
  explicit Use(PyObject* self) : stream_(as_decoder(self)->stream) {
    if (stream_->busy) raise(PyExc_RuntimeError, "this Decoder is being used further up the stack");
    stream_->busy = true;
  }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;
  ~Use() { stream_->busy = false; }
  DecoderState* operator->() const { return stream_.get(); }
  const std::shared_ptr<DecoderState>& stream() const { return stream_; }

 private:
  std::shared_ptr<DecoderState> stream_;
};

// ---- the block and its views

int get_space_buffer(PyObject* self, Py_buffer* view, int flags) {
  Space* const space = as_space(self);
  if (PyBuffer_FillInfo(view, self, space->data, space->size, 0, flags) != 0) return -1;
  ++space->stream->exports;
  return 0;
}

void release_space_buffer(PyObject* self, Py_buffer*) { --as_space(self)->stream->exports; }

void deallocate_space(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  std::destroy_at(&as_space(self)->stream);
  type->tp_free(self);
  Py_DECREF(type);
}

Ref make_view(const std::shared_ptr<DecoderState>& stream, std::span<char> space) {
  Ref exporter = own(space_type->tp_alloc(space_type, 0));
  new (&as_space(exporter.get())->stream) std::shared_ptr<DecoderState>(stream);
  as_space(exporter.get())->data = space.data();
  as_space(exporter.get())->size = static_cast<Py_ssize_t>(space.size());
  return own(PyMemoryView_FromObject(exporter.get()));
}

// Before the block may move: the last view becomes invalid, and nobody may hold a part of it.
void release_views(PyObject* self) {
  Ref view(std::exchange(as_decoder(self)->view, nullptr));
  if (view) {
    const Ref result(PyObject_CallMethod(view.get(), "release", nullptr));
    if (!result) {  // BufferError: something holds its buffer
      as_decoder(self)->view = view.release();
      throw PyError();
    }
  }
  if (as_decoder(self)->stream->exports > 0) {
    raise(PyExc_BufferError, "the block cannot grow while a part of an earlier get_buffer() is in use");
  }
}

// Free space of at least `size` bytes. What earlier views show stays where it is, or they are released.
std::span<char> prepare(PyObject* self, const Use& use, std::size_t size) {
  if (use->closed) raise(PyExc_ValueError, "nothing can follow close()");
  if (!use->all_used || size > use->block_size) release_views(self);
  const std::span<char> space = use->decoder.prepare(size);
  if (use->all_used) use->block_size = std::max(use->block_size, space.size());
  return space;
}

void commit(const Use& use, std::size_t size) {
  use->space_size = 0;
  if (size == 0 || use->error) return;  // nothing behind an error is kept
  use->decoder.commit(size);
  use->all_used = false;
}

Ref block_view(PyObject* self, const Use& use, std::span<char> space) {
  DecoderObject* const decoder = as_decoder(self);
  if (decoder->view != nullptr && decoder->view_data == space.data()) {
    const Py_ssize_t size = PyObject_Size(decoder->view);
    if (size == static_cast<Py_ssize_t>(space.size())) return borrow(decoder->view);
    PyErr_Clear();  // released by whoever had it
  }
  Ref view = make_view(use.stream(), space);
  const Ref old(std::exchange(decoder->view, borrow(view.get()).release()));
  decoder->view_data = space.data();
  return view;
}

// ---- events

Ref next_event(const Use& use) {
  if (use->error) throw ProtocolError(*use->error);
  switch (use->decoder.next_event(use->header)) {
    case framecall::Decoder::Event::need_data: use->all_used = true; return need_data();
    case framecall::Decoder::Event::connection_closed: return connection_closed();
    case framecall::Decoder::Event::end_of_message: return end_of_message();
    case framecall::Decoder::Event::body_received: return body_received(use->decoder.body());
    case framecall::Decoder::Event::text_received:  // these two: in other dialects only
    case framecall::Decoder::Event::zero_received:
    case framecall::Decoder::Event::header_received: break;
  }
  const std::string_view text = use->header.text();
  try {
    return header_received(read_header(text), use->decoder.body_left());
  } catch (const ProtocolError& error) {  // Python may be told to take shorter integers than C++ does
    throw ProtocolError(error.code(), use->decoder.offset() - text.size() + error.offset(), error.what());
  }
}

// An event that is lost on its way to Python cannot be had again: that is final too.
Ref next_event_or_fail(const Use& use) {
  const std::uint64_t offset = use->decoder.offset();
  try {
    return next_event(use);
  } catch (const ProtocolError& error) {
    if (!use->error) use->error = error;
    throw;
  } catch (...) {
    use->error.emplace(ErrorCode::data_loss, offset, "an event was lost: out of memory");
    throw;
  }
}

// ---- what Python calls

PyObject* decoder_get_buffer(PyObject* self, PyObject* size_hint) {
  return guard([&] {
    const Py_ssize_t hint = PyNumber_AsSsize_t(size_hint, PyExc_OverflowError);
    if (hint == -1 && PyErr_Occurred() != nullptr) throw PyError();
    const Use use(self);
    use->space_size = 0;
    const std::span<char> space = prepare(self, use, static_cast<std::size_t>(std::max<Py_ssize_t>(hint, 1)));
    Ref view = block_view(self, use, space);
    use->space_size = space.size();
    return view;
  });
}

PyObject* decoder_buffer_updated(PyObject* self, PyObject* byte_count) {
  return guard([&] {
    const Py_ssize_t count = PyNumber_AsSsize_t(byte_count, PyExc_OverflowError);
    if (count == -1 && PyErr_Occurred() != nullptr) throw PyError();
    const Use use(self);
    if (count < 0 || static_cast<std::size_t>(count) > use->space_size) {
      raise(PyExc_ValueError, "buffer_updated(%zd): the last get_buffer() gave %zu bytes that are not updated yet",
            count, use->space_size);
    }
    commit(use, static_cast<std::size_t>(count));
    return borrow(Py_None);
  });
}

PyObject* decoder_feed(PyObject* self, PyObject* data) {
  return guard([&] {
    const BytesLike bytes(data);
    const Use use(self);
    if (bytes.size() > 0) {
      char* const space = prepare(self, use, bytes.size()).data();
      std::memmove(space, bytes.data(), bytes.size());  // it may be a part of the block itself
      commit(use, bytes.size());
    }
    return borrow(Py_None);
  });
}

PyObject* decoder_close(PyObject* self, PyObject*) {
  return guard([&] {
    const Use use(self);
    use->closed = true;
    use->decoder.close();
    return borrow(Py_None);
  });
}

PyObject* decoder_next_event(PyObject* self, PyObject*) {
  return guard([&] {
    const Use use(self);
    return next_event_or_fail(use);
  });
}

// Ends without an exception, hence null, at what is no event of a message.
PyObject* decoder_iterate(PyObject* self) {
  return guard([&] {
    const Use use(self);
    Ref event = next_event_or_fail(use);
    if (event.get() == need_data().get() || event.get() == connection_closed().get()) return Ref();
    return event;
  });
}

PyObject* decoder_body_left(PyObject* self, void*) {
  return PyLong_FromUnsignedLongLong(as_decoder(self)->stream->decoder.body_left());
}

PyObject* decoder_offset(PyObject* self, void*) {
  return PyLong_FromUnsignedLongLong(as_decoder(self)->stream->decoder.offset());
}

PyObject* new_decoder(PyTypeObject* type, PyObject*, PyObject*) {
  return guard([&] {
    auto stream = std::make_shared<DecoderState>(default_max_header_size, default_dialect());
    Ref self = own(type->tp_alloc(type, 0));
    new (&as_decoder(self.get())->stream) std::shared_ptr<DecoderState>(std::move(stream));
    return self;
  });
}

// Called again, it begins a new stream; views of the old one keep its block.
int init_decoder(PyObject* self, PyObject* positional, PyObject* named) {
  const char* names[] = {"max_header", "dialect", nullptr};
  PyObject *max_header = nullptr, *dialect = nullptr;
  if (!PyArg_ParseTupleAndKeywords(positional, named, "|O$O:Decoder", const_cast<char**>(names), &max_header,
                                   &dialect)) {
    return -1;
  }
  const Ref done(guard([&] {
    std::uint32_t limit = default_max_header_size;
    if (max_header != nullptr) {
      const Py_ssize_t value = PyNumber_AsSsize_t(max_header, nullptr);  // clips what is too large
      if (value == -1 && PyErr_Occurred() != nullptr) throw PyError();
      if (value < 0 || value > static_cast<Py_ssize_t>(largest_max_header_size)) {
        raise(PyExc_ValueError, "max_header must be 0 .. %u, not %R", largest_max_header_size, max_header);
      }
      limit = static_cast<std::uint32_t>(value);
    }
    auto stream = std::make_shared<DecoderState>(limit, dialect != nullptr ? framing_of(dialect) : default_dialect());
    const Use use(self);
    const Ref old(std::exchange(as_decoder(self)->view, nullptr));
    as_decoder(self)->stream = std::move(stream);
    return borrow(Py_None);
  }));
  return done ? 0 : -1;
}

// Not collected: it holds no Python object but a view, which holds none.
void deallocate_decoder(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  Py_CLEAR(as_decoder(self)->view);
  std::destroy_at(&as_decoder(self)->stream);
  type->tp_free(self);
  Py_DECREF(type);
}

PyMethodDef decoder_methods[] = {
    {"get_buffer", decoder_get_buffer, METH_O,
     "get_buffer($self, sizehint, /)\n--\n\n"
     "Free space to read into, a writable memoryview of at least `sizehint` bytes (64 KiB if that is less): for\n"
     "asyncio.BufferedProtocol, or for socket.recv_into(). Then call buffer_updated(). It is for filling once: a "
     "later\n"
     "get_buffer() or feed() may release it, and raises BufferError if it would have to while a part of it is in use.\n"
     "\n"
     ">>> import socket\n"
     ">>> near, far = socket.socketpair()\n"
     ">>> with near, far:\n"
     "...     far.sendall(framecall.encode_frame({\"method\": \"rpc.ping\"}))\n"
     "...     decoder = framecall.Decoder()\n"
     "...     decoder.buffer_updated(near.recv_into(decoder.get_buffer(-1)))\n"
     ">>> list(decoder)\n"
     "[HeaderReceived(header={'method': 'rpc.ping'}, body_size=0), EndOfMessage()]\n"},
    {"buffer_updated", decoder_buffer_updated, METH_O,
     "buffer_updated($self, nbytes, /)\n--\n\n"
     "The first `nbytes` bytes of what get_buffer() gave last have been filled. The events of them come from\n"
     "next_event(). Raises ValueError for more than that, and for a second time.\n"},
    {"feed", decoder_feed, METH_O,
     "feed($self, data, /)\n--\n\n"
     "Gives it the next bytes of the stream, from any bytes-like object; they are copied.\n"
     "\n"
     ">>> decoder = framecall.Decoder()\n"
     ">>> decoder.feed(framecall.encode_frame({\"id\": 1, \"result\": None, \"body_size\": 3}, b\"abc\"))\n"
     ">>> for event in decoder:\n"
     "...     print(event)\n"
     "HeaderReceived(header={'id': 1, 'result': None, 'body_size': 3}, body_size=3)\n"
     "BodyReceived(data=b'abc')\n"
     "EndOfMessage()\n"},
    {"close", decoder_close, METH_NOARGS,
     "close($self, /)\n--\n\n"
     "The stream ends here. When all that came before is used, next_event() returns ConnectionClosed(), or raises\n"
     "ProtocolError with code -32055 (data loss) if that is inside a message.\n"
     "\n"
     ">>> decoder = framecall.Decoder()\n"
     ">>> decoder.close()\n"
     ">>> decoder.next_event()\n"
     "ConnectionClosed()\n"},
    {"next_event", decoder_next_event, METH_NOARGS,
     "next_event($self, /)\n--\n\n"
     "The next event: HeaderReceived, BodyReceived (any number of them), EndOfMessage, and so on;\n"
     "ConnectionClosed for ever after close(); or framecall.NEED_DATA when everything given was used.\n"
     "Raises ProtocolError, from then on always the same: code -32700 (not JSON) or -32600 (not a header) as early\n"
     "as the bytes tell, -32055 when the stream was closed inside a message.\n"
     "\n"
     ">>> decoder = framecall.Decoder()\n"
     ">>> decoder.next_event()\n"
     "NEED_DATA\n"
     ">>> decoder.feed(b\"GET / HTTP/1.1\")\n"
     ">>> decoder.next_event()\n"
     "Traceback (most recent call last):\n"
     "  ...\n"
     "framecall.ProtocolError: header length 542393671: must be 2 .. 1048576; the first bytes are HTTP: GET \n"},
    {}};

PyGetSetDef decoder_properties[] = {
    {"body_left", decoder_body_left, nullptr, "Bytes of the current body that no event has brought yet.", nullptr},
    {"offset", decoder_offset, nullptr, "Bytes of the stream that events have been made of.", nullptr},
    {}};

Ref make_type(const char* name, std::size_t size, unsigned flags, PyType_Slot* slots) {
  PyType_Spec spec{name, static_cast<int>(size), 0, static_cast<unsigned>(Py_TPFLAGS_DEFAULT | flags), slots};
  return own(PyType_FromSpec(&spec));
}

// A name, or a path of any kind, as UTF-8.
std::string path_text(PyObject* name) {
  const Ref path(PyOS_FSPath(name));
  if (!path || !PyUnicode_Check(path.get())) {
    raise(PyExc_TypeError, "dialect: a str or an os.PathLike, not %.100s", Py_TYPE(name)->tp_name);
  }
  return std::string(text_of(path.get()));
}

}  // namespace

const Dialect& framing_of(PyObject* name) {
  static auto* const known = new std::map<std::string, Dialect>;  // never freed: statics outlive the interpreter
  const std::string text = path_text(name);
  const auto found = known->find(text);
  if (found != known->end()) return found->second;
  Dialect dialect = find_dialect(text);
  dialect.lines = false;
  dialect.zero_prefix = Dialect::ZeroPrefix::refuse;
  return known->emplace(text, std::move(dialect)).first->second;
}

std::shared_ptr<const Dialect> dialect_of_calls(PyObject* name) {
  const Dialect& given = framing_of(name);
  if (!given.calls) {
    raise(PyExc_ValueError, "dialect: \"%s\" has no calls, its setting header.calls is false; send_file() can use it",
          given.name.c_str());
  }
  auto dialect = std::make_shared<Dialect>();
  dialect->name = given.name;
  dialect->prefixes = {given.prefixes.front()};
  dialect->byte_order_mark = given.byte_order_mark;
  return dialect;
}

void add_decoder(PyObject* module) {
  PyType_Slot space_slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(deallocate_space)},
                               {Py_bf_getbuffer, reinterpret_cast<void*>(get_space_buffer)},
                               {Py_bf_releasebuffer, reinterpret_cast<void*>(release_space_buffer)},
                               {0, nullptr}};
  space_type = reinterpret_cast<PyTypeObject*>(make_type("framecall._Space", sizeof(Space), 0, space_slots).release());
  static constexpr const char* documentation =
      "Decoder(max_header=1048576, *, dialect=\"default\")\n--\n\n"
      "Reads frames from a stream, wherever it was cut: bytes go in with get_buffer() and buffer_updated(), or with\n"
      "feed(), events come out of next_event(). No sockets, no clock. `max_header` is the largest header that is "
      "taken,\n"
      "in bytes, at most 2**24 - 1. `dialect` tells how lengths are written: the name of a shipped one (`framecall\n"
      "dialects` lists them) or the path of a dialect file. A body is never collected: it comes in pieces, as it "
      "arrives.\n"
      "\n"
      "Iterating over it gives the events that there are now, and ends where next_event() would return NEED_DATA or\n"
      "ConnectionClosed. Not for two threads at once.\n"
      "\n"
      ">>> class Protocol(asyncio.BufferedProtocol):\n"
      "...     def __init__(self):\n"
      "...         self.decoder = framecall.Decoder()\n"
      "...         self.get_buffer = self.decoder.get_buffer\n"
      "...\n"
      "...     def buffer_updated(self, nbytes):\n"
      "...         self.decoder.buffer_updated(nbytes)\n"
      "...         for event in self.decoder:\n"
      "...             if isinstance(event, framecall.HeaderReceived):\n"
      "...                 print(event.header, event.body_size)\n";
  PyType_Slot slots[] = {{Py_tp_new, reinterpret_cast<void*>(new_decoder)},
                         {Py_tp_init, reinterpret_cast<void*>(init_decoder)},
                         {Py_tp_dealloc, reinterpret_cast<void*>(deallocate_decoder)},
                         {Py_tp_methods, decoder_methods},
                         {Py_tp_getset, decoder_properties},
                         {Py_tp_iter, reinterpret_cast<void*>(PyObject_SelfIter)},
                         {Py_tp_iternext, reinterpret_cast<void*>(decoder_iterate)},
                         {Py_tp_doc, const_cast<char*>(documentation)},
                         {0, nullptr}};
  const Ref type = make_type("framecall.Decoder", sizeof(DecoderObject), Py_TPFLAGS_BASETYPE, slots);
  if (PyObject_SetAttrString(module, "Decoder", type.get()) != 0) throw PyError();
}

}  // namespace framecall::python
