// How clients call: limits of a client, and of one call. Plain data.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

#include "framecall/error.hpp"
#include "framecall/wire/frame.hpp"
#include "framecall/wire/json.hpp"

namespace framecall {

/// What one call may say beside its params and its body.
struct CallOptions {
  CallOptions() {}

  /// For all of the call: connecting, sending, waiting, receiving. 0: the client's, which the server is not told; this one
  /// it is (`timeout_ms`), and answers DEADLINE_EXCEEDED when it passes.
  std::chrono::milliseconds timeout{0};
  /// An object of strings, or null.
  Json metadata;
  /// How the body is to be read as arrays; see Response::layout in call.hpp.
  std::string layout;
  /// May be sent once more, after a pause (ClientOptions::backoff), when a connection broke under it: the method does the same
  /// however often it is called.
  bool idempotent = false;
  /// Sends the SHA-256 of the body along; the server checks it.
  bool digest = false;
  /// Of a stream: parts of the request will follow.
  bool more = false;
};

/// The limits of Client, AsyncClient and FileClient.
struct ClientOptions {
  ClientOptions() {}

  std::chrono::milliseconds timeout = std::chrono::seconds(30);  ///< of a call that has none of its own
  unsigned attempts = 3;  ///< at connecting, and at sending calls that did not arrive, in all; at least 1
  /// Before the second attempt; doubled for each further one up to max_backoff, less up to a half at random.
  std::chrono::milliseconds backoff = std::chrono::milliseconds(50);
  std::chrono::milliseconds max_backoff = std::chrono::seconds(2);
  /// How the server writes lengths; null: as PROTOCOL.md says. Its other settings do not matter to calls.
  std::shared_ptr<const Dialect> dialect;
  std::size_t max_idle = 16;                           ///< connections kept for later calls (Client)
  std::uint32_t max_header = default_max_header_size;  ///< bytes of a reply's header
  std::uint64_t max_body = std::uint64_t{1}
                           << 30;  ///< bytes of a reply's body; parts of streams come in pieces above it
  /// Called by Client while it waits, after every signal and at least every 100 ms. What it throws ends the call.
  std::function<void()> check;
};

/// The category of a SystemError for a host name that could not be looked up, by clients and servers; its codes are those of
/// getaddrinfo(), such as EAI_NONAME.
const std::error_category& lookup_category();

}  // namespace framecall
