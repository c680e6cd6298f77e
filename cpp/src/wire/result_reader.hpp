// Reads the members of a call's result, which may be missing or of any type.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "framecall/wire/json.hpp"

namespace framecall {

/// The integer 0 .. 2^63-1 that `value` is; nothing for anything else.
std::optional<std::uint64_t> size_of(const Json& value);

/// What is wrong with a result is a ProtocolError that shows it.
class ResultReader {
 public:
  /// `value` must outlive it. `where`: the peer and the method, for messages. Throws for what is no object.
  ResultReader(const Json& value, std::string where);

  bool has(const char* key) const { return value_.contains(key); }
  const Json& operator[](const char* key) const;
  std::uint64_t size(const char* key) const;
  /// Whole seconds: some servers pass on what their system tells, with fractions.
  std::int64_t time(const char* key) const;
  std::string text(const char* key) const;

  const std::string& where() const { return where_; }
  /// Throws ProtocolError(invalid_request).
  [[noreturn]] void wrong(const std::string& what) const;

 private:
  const Json& value_;
  const std::string where_;
};

}  // namespace framecall
