// From the bytes of a connection to whole replies, or to pieces of large ones. Moves no bytes itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "framecall/call.hpp"
#include "framecall/error.hpp"
#include "framecall/wire/buffer.hpp"
#include "framecall/wire/digest.hpp"
#include "framecall/wire/frame.hpp"
#include "framecall/wire/header.hpp"

namespace framecall {

/// A reply, or a piece of one.
struct CallReply {
  std::string id;  ///< JSON text; empty: of an answer to nothing that the peer could read
  std::optional<RemoteError> error;
  std::string result, metadata, layout;
  Buffer body;
  std::uint64_t body_size = 0;          ///< as announced, of all pieces
  std::optional<ProtocolError> damage;  ///< the body is not what the peer's digest says
  bool more = false;                    ///< another one follows for this id
  bool continues = false;               ///< more of the body follows: it is above max_body and comes in pieces
  bool continued = false;               ///< so it was before: what is not the body has come with the first piece

  void clear();  ///< for the next one, whether this one was moved from or not
};

/// What a call ends with: throws RemoteError, or ProtocolError for a damaged body and for one that comes in parts or in pieces
/// where one whole was asked for. `shown`: the peer, for messages.
Response response_of(CallReply&& reply, const std::string& shown);
/// The part of a stream that a reply is.
Part part_of(CallReply&& reply);

/// One thread at a time.
class ReplyDecoder {
 public:
  /// `dialect` must outlive it.
  ReplyDecoder(std::uint32_t max_header, std::uint64_t max_body, const Dialect& dialect = default_dialect())
      : decoder_(max_header, dialect), max_body_(max_body) {}

  /// Where the next bytes go: a large body straight to its place, everything else into a block.
  std::span<char> prepare();
  /// So many have come; 0: the peer sends no more.
  void commit(std::size_t size);

  /// The next reply, which may be moved from; null: more bytes are needed, or there are none any more, see closed(). Throws
  /// ProtocolError: data_loss for an end inside a message, others for what is no reply.
  CallReply* next();
  /// The peer sends no more, and all that it sent was returned.
  bool closed() const { return closed_; }
  /// The peer asked for another connection, or has given up on what it read here.
  bool closing() const { return closing_; }
  /// Between two replies.
  bool idle() const { return !in_body_ && decoder_.idle(); }

 private:
  void begin();
  void end();

  Decoder decoder_;
  const std::uint64_t max_body_;
  Header header_;
  CallReply reply_;
  std::string digest_;         // that the reply under way announces
  std::optional<Digest> sum_;  // of the pieces of a large body
  bool in_body_ = false, large_ = false, used_up_ = true, direct_ = false;
  bool closed_ = false, closing_ = false;
};

}  // namespace framecall
