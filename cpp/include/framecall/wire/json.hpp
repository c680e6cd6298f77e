// JSON values for C++ programs: nlohmann's ordered_json, with CPython's text (json_text.hpp says which).
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

namespace framecall {

/// Keeps the order of keys, as a Python dict does. Two conventions beyond nlohmann's own:
///  - an integer beyond 64 bits is a `binary` value that holds its decimal digits (JSON text never makes binary ones);
///  - strings are generalised UTF-8: a lone surrogate is its three bytes ED Ax xx, which dump() of nlohmann refuses.
using Json = nlohmann::ordered_json;

/// Keeps a value, and frees it without any memory. The destructor of Json itself allocates where there are members; it ends the
/// process if it cannot.
class KeptJson {
 public:
  explicit KeptJson(Json value) noexcept : value_(std::move(value)) {}
  KeptJson(KeptJson&&) noexcept = default;
  KeptJson& operator=(KeptJson&& other) noexcept {
    value_.swap(other.value_);
    return *this;
  }
  ~KeptJson() { dismantle(value_); }
  const Json& operator*() const { return value_; }
  const Json* operator->() const { return &value_; }

 private:
  static void dismantle(Json& value) noexcept;
  Json value_;
};

/// What json.loads reads. Duplicate keys: the last value, at the place of the first, as in Python.
/// Throws ProtocolError(parse_error).
Json parse_json(std::string_view text);

/// What json.dumps writes. Throws std::invalid_argument for nesting beyond max_depth, for text that is not UTF-8, and
/// for values that no JSON text makes.
std::string dump_json(const Json& value);

/// dump_json(), appended to `out`; `out` is unchanged when it throws.
void write_json(std::string& out, const Json& value);

/// An integer of any size from its decimal digits `-?(0|[1-9][0-9]*)`, in the narrowest form.
Json integer_value(std::string_view digits);

/// True for integers of any size (booleans are none).
bool is_integer(const Json& value);

/// The decimal digits of an integer of up to max_integer_digits. Throws std::invalid_argument for other values.
std::string integer_digits(const Json& value);

}  // namespace framecall
