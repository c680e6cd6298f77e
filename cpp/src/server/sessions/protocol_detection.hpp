// Several protocols on one port: which one a connection speaks, by its first bytes. PROTOCOL.md, section 8.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "framecall/wire/dialect.hpp"

namespace framecall {

struct FirstBytes {
  enum class Verdict : std::uint8_t { undecided, frame, http, tls, text };
  bool frames, http;  ///< what is looked for

  /// `quiet`: nothing came for a while, so what could still become a frame is a text if it looks like one. The verdict
  /// depends on the bytes alone, not on how they were cut, unless a sender pauses inside of its first three bytes.
  Verdict judge(std::string_view bytes, bool quiet, const Dialect& dialect, std::uint32_t max_header_size) const;
};

/// The answer to an HTTP request whose head is in `received`: `GET /healthz` tells whether the server takes work. Empty
/// while the head is not whole.
std::string http_answer(std::string_view received, bool serving);

/// Bytes of a request's head; more are answered with 431.
inline constexpr std::size_t max_http_head = 8192;

}  // namespace framecall
