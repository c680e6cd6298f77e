// What a dialect's file says, before the settings that it leaves out follow from the others.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "framecall/wire/dialect.hpp"

namespace framecall {

/// For messages.
std::string quoted_value(std::string_view text);

/// Throws std::invalid_argument. `line`: 0 for none.
[[noreturn]] void fail_at(std::string_view source, std::uint32_t line, std::string_view message);

/// What a file says so far; it begins with what it may leave out.
struct DialectDraft : Dialect {
  enum class Order : std::uint8_t { little, big, both };

  /// `source`: the path of the file, which must outlive it.
  explicit DialectDraft(std::string_view source);
  std::vector<std::string>& word_list(Operation operation) { return word_lists[static_cast<std::size_t>(operation)]; }
  /// The file has a setting, by its full name.
  bool given(std::string_view setting) const { return lines_given.contains(setting); }
  /// Throws std::invalid_argument with the place of the setting.
  [[noreturn]] void fail(std::string_view setting, std::string_view text) const;

  std::string_view source;
  std::map<std::string, std::uint32_t, std::less<>> lines_given;  // setting -> its line
  PrefixFormat::Kind kind = PrefixFormat::Kind::binary;
  std::int64_t width = 4;
  Order order = Order::little;
  bool detect = false;
  std::vector<std::string> extra_keys;
  std::array<std::vector<std::string>, 8> word_lists;  // by operation
};

}  // namespace framecall
