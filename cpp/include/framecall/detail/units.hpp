// Sizes and durations as text: for flags, the environment, files of settings, and messages.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace framecall {

/// Parses "64", "64K", "1.5M" or "2GiB" as bytes; K, M, G, T and P are powers of 1024. `name` is the flag, variable or key
/// that the text belongs to. Throws std::invalid_argument that begins with it.
std::uint64_t parse_size(std::string_view name, std::string_view text);

/// Parses "0.5", "10", "10s", "500ms", "2min" or "1h"; a number without a unit is seconds. Throws std::invalid_argument that
/// begins with `name`.
std::chrono::milliseconds parse_duration(std::string_view name, std::string_view text);

/// "1.5 MiB": rounded, for people.
std::string size_text(double bytes);

/// "64M", "1K" or "1000": exact, in the form that parse_size() reads.
std::string exact_size(std::uint64_t bytes);

/// "10" or "0.25": seconds, exact, in the form that parse_duration() reads.
std::string exact_duration(std::chrono::milliseconds duration);

}  // namespace framecall
