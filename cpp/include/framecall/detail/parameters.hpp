// Between JSON values and the types of C++ functions: what a parameter takes, and what a result becomes.
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "framecall/wire/json.hpp"

namespace framecall {

/// Specialise it for a type of your own: `schema()` is JSON Schema for the OpenRPC document, `take()` fills `out` and is
/// false for a value of another type, `expected()` says in words what it takes, `give()` makes the JSON value.
template <class T>
struct Parameter;

template <>
struct Parameter<bool> {
  static Json schema() { return {{"type", "boolean"}}; }
  static std::string expected() { return "true or false"; }
  static bool take(const Json& value, bool& out) { return value.is_boolean() && (out = value.get<bool>(), true); }
  static Json give(bool value) { return value; }
};

template <std::integral T>
  requires(!std::same_as<T, bool>)
struct Parameter<T> {
  static Json schema() { return {{"type", "integer"}}; }
  static std::string expected() {
    return "an integer " + std::to_string(std::numeric_limits<T>::min()) + " .. " +
           std::to_string(std::numeric_limits<T>::max());
  }
  static bool take(const Json& value, T& out) {
    if (value.is_number_unsigned()) {
      const auto number = value.get<std::uint64_t>();
      if (number > static_cast<std::uint64_t>(std::numeric_limits<T>::max())) return false;
      out = static_cast<T>(number);
      return true;
    }
    if (!value.is_number_integer()) return false;
    const auto number = value.get<std::int64_t>();
    if (number < 0 &&
        (std::unsigned_integral<T> || number < static_cast<std::int64_t>(std::numeric_limits<T>::min()))) {
      return false;
    }
    if (number > 0 && static_cast<std::uint64_t>(number) > static_cast<std::uint64_t>(std::numeric_limits<T>::max())) {
      return false;
    }
    out = static_cast<T>(number);
    return true;
  }
  static Json give(T value) { return value; }
};

template <std::floating_point T>
struct Parameter<T> {
  static Json schema() { return {{"type", "number"}}; }
  static std::string expected() { return "a number"; }
  static bool take(const Json& value, T& out) { return value.is_number() && (out = value.get<T>(), true); }
  static Json give(T value) { return static_cast<double>(value); }
};

template <>
struct Parameter<std::string> {
  static Json schema() { return {{"type", "string"}}; }
  static std::string expected() { return "a string"; }
  static bool take(const Json& value, std::string& out) {
    return value.is_string() && (out = value.get<std::string>(), true);
  }
  static Json give(const std::string& value) { return value; }
};

template <>
struct Parameter<Json> {
  static Json schema() { return Json::object(); }
  static std::string expected() { return "any value"; }
  static bool take(const Json& value, Json& out) { return out = value, true; }
  static Json give(const Json& value) { return value; }
};

/// Absent and null are nothing.
template <class T>
struct Parameter<std::optional<T>> {
  static Json schema() { return Parameter<T>::schema(); }
  static std::string expected() { return Parameter<T>::expected() + ", or null"; }
  static bool take(const Json& value, std::optional<T>& out) {
    return value.is_null() || Parameter<T>::take(value, out.emplace());
  }
  static Json give(const std::optional<T>& value) { return value ? Parameter<T>::give(*value) : Json(); }
};

template <class T>
struct Parameter<std::vector<T>> {
  static Json schema() { return {{"type", "array"}, {"items", Parameter<T>::schema()}}; }
  static std::string expected() { return "an array, each item " + Parameter<T>::expected(); }
  static bool take(const Json& value, std::vector<T>& out) {
    if (!value.is_array()) return false;
    for (const Json& item : value) {
      T one{};
      if (!Parameter<T>::take(item, one)) return false;
      out.push_back(std::move(one));
    }
    return true;
  }
  static Json give(const std::vector<T>& value) {
    Json list = Json::array();
    for (const auto& item : value) list.push_back(Parameter<T>::give(item));
    return list;
  }
};

template <class T>
struct Parameter<std::map<std::string, T>> {
  static Json schema() { return {{"type", "object"}, {"additionalProperties", Parameter<T>::schema()}}; }
  static std::string expected() { return "an object, each value " + Parameter<T>::expected(); }
  static bool take(const Json& value, std::map<std::string, T>& out) {
    if (!value.is_object()) return false;
    for (const auto& [key, item] : value.items()) {
      if (!Parameter<T>::take(item, out[key])) return false;
    }
    return true;
  }
  static Json give(const std::map<std::string, T>& value) {
    Json object = Json::object();
    for (const auto& [key, item] : value) object[key] = Parameter<T>::give(item);
    return object;
  }
};

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

}  // namespace framecall
