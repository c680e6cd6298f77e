#include "framecall/wire/json.hpp"

#include <charconv>
#include <memory>
#include <stdexcept>
#include <unordered_map>
#include <utility>

#include "framecall/detail/json_reader.hpp"

namespace framecall {
namespace {

constexpr std::size_t hashed_from = 16;  // below it a linear search is faster

struct ObjectInProgress {
  Json::object_t members;
  std::unique_ptr<std::unordered_map<std::string, std::size_t>> places;  // from `hashed_from` members on
};

// ordered_json searches linearly for every key that is set: 40,000 keys take seconds. So members go into the vector
// below it, and a hash finds duplicates.
[[gnu::noinline]] void set_member(ObjectInProgress& object, std::string&& key, Json&& value) {
  auto& members = static_cast<Json::object_t::Container&>(object.members);
  if (members.size() < hashed_from) {
    for (auto& [name, old] : members) {
      if (name == key) {
        old = std::move(value);
        return;
      }
    }
  } else {
    if (object.places == nullptr) {
      object.places = std::make_unique<std::unordered_map<std::string, std::size_t>>();
      for (std::size_t i = 0; i < members.size(); ++i) object.places->emplace(members[i].first, i);
    }
    const auto [place, fresh] = object.places->emplace(key, members.size());
    if (!fresh) {
      members[place->second].second = std::move(value);
      return;
    }
  }
  members.emplace_back(std::move(key), std::move(value));
}

// What is taken by reference, kept apart or not inlined is so for the stack: a level of nesting has to do with little.
struct ValueBuilder {
  Json null() { return nullptr; }
  Json boolean(bool value) { return value; }
  Json integer(std::string_view digits) { return integer_value(digits); }
  Json real(std::string_view number) { return to_double(number); }
  Json special(double value) { return value; }
  [[gnu::noinline]] Json string(const StringToken& token) { return key(token); }
  [[gnu::noinline]] std::string key(const StringToken& token) {
    if (!token.escaped) return std::string(token.raw);
    std::string text;
    decode_string(token.raw, text);
    return text;
  }
  Json::array_t list() { return {}; }
  void append(Json::array_t& list, Json&& value) { list.push_back(std::move(value)); }
  Json finish(Json::array_t&& list) { return std::move(list); }
  ObjectInProgress object() { return {}; }
  void set(ObjectInProgress& object, std::string&& key, Json&& value) {
    set_member(object, std::move(key), std::move(value));
  }
  Json finish(ObjectInProgress&& object) { return std::move(object.members); }
};

void write_value(std::string& out, const Json& value, int depth) {
  switch (value.type()) {
    case Json::value_t::null: out += "null"; return;
    case Json::value_t::boolean: out += value.get<bool>() ? "true" : "false"; return;
    case Json::value_t::number_integer: write_integer(out, value.get<std::int64_t>()); return;
    case Json::value_t::number_unsigned: write_integer(out, value.get<std::uint64_t>()); return;
    case Json::value_t::number_float: write_double(out, value.get<double>()); return;
    case Json::value_t::string: write_string(out, value.get_ref<const std::string&>()); return;
    case Json::value_t::binary: out += integer_digits(value); return;  // throws unless it holds digits
    case Json::value_t::array: {
      if (depth > max_depth) throw std::invalid_argument("nested too deep");
      out += '[';
      const char* separator = "";
      for (const Json& item : value) {
        out += std::exchange(separator, ", ");
        write_value(out, item, depth + 1);
      }
      out += ']';
      return;
    }
    case Json::value_t::object: {
      if (depth > max_depth) throw std::invalid_argument("nested too deep");
      out += '{';
      const char* separator = "";
      for (const auto& [key, member] : value.get_ref<const Json::object_t&>()) {
        out += std::exchange(separator, ", ");
        write_string(out, key);
        out += ": ";
        write_value(out, member, depth + 1);
      }
      out += '}';
      return;
    }
    case Json::value_t::discarded: break;
  }
  throw std::invalid_argument("not a JSON value");
}

}  // namespace

void KeptJson::dismantle(Json& value) noexcept {
  if (auto* list = value.get_ptr<Json::array_t*>()) {
    for (Json& item : *list) dismantle(item);
    list->clear();
  } else if (auto* members = value.get_ptr<Json::object_t*>()) {
    for (auto& [key, member] : *members) dismantle(member);
    members->clear();
  }
}

Json parse_json(std::string_view text) {
  ValueBuilder builder;
  return JsonReader(text).document(builder);
}

std::string dump_json(const Json& value) {
  std::string out;
  write_json(out, value);
  return out;
}

void write_json(std::string& out, const Json& value) {
  const std::size_t size = out.size();
  try {
    write_value(out, value, 1);
  } catch (...) {
    out.resize(size);
    throw;
  }
}

Json integer_value(std::string_view digits) {
  const char* const end = digits.data() + digits.size();
  std::int64_t narrow = 0;
  if (std::from_chars(digits.data(), end, narrow).ec == std::errc{}) return narrow;
  std::uint64_t wide = 0;
  if (digits.front() != '-' && std::from_chars(digits.data(), end, wide).ec == std::errc{}) return wide;
  return Json::binary({digits.begin(), digits.end()});
}

bool is_integer(const Json& value) { return value.is_number_integer() || value.is_binary(); }

std::string integer_digits(const Json& value) {
  if (value.is_number_integer()) return dump_json(value);
  if (!value.is_binary()) throw std::invalid_argument("not an integer");
  const auto& bytes = value.get_binary();
  std::string digits(bytes.begin(), bytes.end());
  const std::string_view absolute = std::string_view(digits).substr(digits.starts_with('-') ? 1 : 0);
  const bool zero_first = absolute.starts_with('0') && absolute.size() > 1;
  if (absolute.empty() || absolute.size() > max_integer_digits || zero_first ||
      absolute.find_first_not_of("0123456789") != std::string_view::npos) {
    throw std::invalid_argument("a binary value that is no integer's digits");
  }
  return digits;
}

}  // namespace framecall
