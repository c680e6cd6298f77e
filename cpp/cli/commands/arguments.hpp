// What the commands share: exit codes, sizes, durations.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace framecall::cli {

enum ExitCode : int {
  ok = 0,
  failed = 1,
  usage_error = 2,
  cannot_connect = 3,
  timed_out = 4,
  refused_by_peer = 5,
  interrupted = 130,
};

/// "64", "64K", "1.5M", "2GiB": bytes; K, M, G, T are powers of 1024. Throws std::invalid_argument that names the flag.
std::uint64_t parse_size(std::string_view flag, std::string_view text);

/// "0.5", "10", "10s", "500ms", "2min": seconds where no unit is given. Throws std::invalid_argument that names the flag.
std::chrono::milliseconds parse_duration(std::string_view flag, std::string_view text);

/// "1.5 MiB", for people.
std::string size_text(double bytes);

/// `message` on stderr behind "framecall: ", control characters escaped.
void complain(std::string_view message);

}  // namespace framecall::cli
