// Bodies in both directions, and what comes back for a call as Python sees it: framecall.Reply, framecall.Part.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "framecall/call.hpp"
#include "framecall/wire/buffer.hpp"
#include "types/object.hpp"

namespace framecall::python {

/// What a caller gives as a body, held while this lives: bytes-like, an array, or a dict of arrays. Null and None: no body.
/// Throws PyError: TypeError for anything else and for arrays of objects.
class OutBody {
 public:
  explicit OutBody(PyObject* object);

  bool given() const { return bytes_.has_value(); }
  std::string_view view() const {
    return bytes_ ? std::string_view(bytes_->data(), bytes_->size()) : std::string_view();
  }
  /// See Response::layout.
  const std::string& layout() const { return layout_; }
  /// The object whose bytes these are.
  PyObject* source() const { return source_.get(); }

 private:
  Ref source_;
  std::optional<BytesLike> bytes_;
  std::string layout_;
};

void add_messages(PyObject* module);

/// An object with the buffer protocol that owns `body`, writable.
Ref make_body(Buffer body);
/// A memoryview of it.
Ref view_of(Buffer body);

/// A memoryview of the bytes of `source`, which it holds, whatever they stand for: for who takes nothing else.
Ref bytes_of(PyObject* source);

/// framecall.Reply.
Ref make_reply(Response&& response);
/// framecall.Part.
Ref make_part(Part&& part);
/// What call() returns: the result; where that is null and there is a body, the body: arrays if it says so and NumPy is
/// there, else a memoryview.
Ref plain_value(Response&& response);
/// A body as plain_value() returns it.
Ref body_value(Buffer body, const std::string& layout);

}  // namespace framecall::python
