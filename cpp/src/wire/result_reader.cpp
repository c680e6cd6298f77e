#include "wire/result_reader.hpp"

#include <cmath>
#include <utility>

#include "framecall/detail/request_encoder.hpp"
#include "framecall/error.hpp"

namespace framecall {

std::optional<std::uint64_t> size_of(const Json& value) {
  if (!value.is_number_integer()) return std::nullopt;
  const bool large = value.is_number_unsigned() && value.get<std::uint64_t>() > std::uint64_t{INT64_MAX};
  if (large || value.get<std::int64_t>() < 0) return std::nullopt;
  return value.get<std::uint64_t>();
}

ResultReader::ResultReader(const Json& value, std::string where) : value_(value), where_(std::move(where)) {
  if (!value_.is_object()) wrong("the result is not an object");
}

const Json& ResultReader::operator[](const char* key) const {
  const auto found = value_.find(key);
  if (found == value_.end()) wrong(in_quotes(key) + " is missing");
  return *found;
}

std::uint64_t ResultReader::size(const char* key) const {
  const auto size = size_of((*this)[key]);
  if (!size) wrong(in_quotes(key) + " is not an integer of 0 .. 2^63-1");
  return *size;
}

std::int64_t ResultReader::time(const char* key) const {
  const Json& member = (*this)[key];
  const bool known = member.is_number() && std::abs(member.get<double>()) < 1e15;
  if (!known) wrong(in_quotes(key) + " is not a time in seconds");
  return static_cast<std::int64_t>(std::floor(member.get<double>()));
}

std::string ResultReader::text(const char* key) const {
  const Json& member = (*this)[key];
  if (!member.is_string()) wrong(in_quotes(key) + " is not a string");
  return member.get<std::string>();
}

void ResultReader::wrong(const std::string& what) const {
  throw ProtocolError(ErrorCode::invalid_request, 0, where_ + ": " + what + ": " + printable(dump_json(value_)));
}

}  // namespace framecall
