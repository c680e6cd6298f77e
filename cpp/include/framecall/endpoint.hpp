// Where to listen or connect, as it is written on the command line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace framecall {

/// `HOST:PORT`, `[IPV6]:PORT` or `unix:PATH`. Port 0 lets a listener pick a free one.
struct Endpoint {
  Endpoint() {}

  /// Throws std::invalid_argument that says what is wrong with `text`.
  static Endpoint parse(std::string_view text);

  bool is_unix() const { return !path.empty(); }
  /// The form that parse() reads.
  std::string to_string() const;

  std::string host;  ///< name or address, without brackets
  std::uint16_t port = 0;
  std::string path;  ///< of a Unix socket; empty: TCP
};

}  // namespace framecall
