// The parameters of built-in methods. One definition gives the entry in the document of rpc.discover and the check of a call.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framecall/detail/method.hpp"
#include "framecall/wire/json.hpp"

namespace framecall {

/// A parameter of a built-in. `Kind` has the type of its value (`Value`), its JSON Schema (`schema()`) and its check (`read()`,
/// which throws CallError(invalid_params)).
template <class Kind>
struct BuiltinParameter {
  const char* name;
  bool required = false;

  operator ParameterInfo() const { return {name, required, Kind::schema()}; }
};

/// Any JSON value. The method reads it itself.
struct AnyKind {
  static Json schema() { return Json::object(); }
};
struct TextKind {
  using Value = std::string;
  static Json schema() { return {{"type", "string"}}; }
  static Value read(const char* name, const Json& value);
};
/// A text that check_file_name() accepts.
struct FileNameKind {
  using Value = std::string;
  static Json schema() { return TextKind::schema(); }
  static Value read(const char* name, const Json& value);
};
/// An integer from 0 to 2^63 - 1.
struct SizeKind {
  using Value = std::uint64_t;
  static Json schema() { return {{"type", "integer"}, {"minimum", 0}}; }
  static Value read(const char* name, const Json& value);
};
struct FlagKind {
  using Value = bool;
  static Json schema() { return {{"type", "boolean"}}; }
  static Value read(const char* name, const Json& value);
};

/// Throws CallError(invalid_params) with `message`.
[[noreturn]] void refuse_params(const std::string& message);
/// The same for a parameter whose value is not what was expected.
[[noreturn]] void refuse_value(const char* name, std::string_view expected, std::string_view got);

/// The params of one call of a built-in. A parameter that is null counts as absent.
class BuiltinParams {
 public:
  /// Throws CallError(invalid_params) if `params` is neither an object nor null, or has a name that `known` has not.
  BuiltinParams(const Json& params, const std::vector<ParameterInfo>& known);

  /// The value of a parameter, or nothing if it is absent. Throws CallError(invalid_params) for a wrong value, and for a required
  /// parameter that is absent.
  template <class Kind>
  std::optional<typename Kind::Value> find(const BuiltinParameter<Kind>& parameter) const {
    const Json* const value = value_of(parameter.name, parameter.required);
    if (value == nullptr) return std::nullopt;
    return Kind::read(parameter.name, *value);
  }
  /// The same for a required parameter.
  template <class Kind>
  typename Kind::Value get(const BuiltinParameter<Kind>& parameter) const {
    return Kind::read(parameter.name, *value_of(parameter.name, true));
  }

 private:
  const Json* value_of(const char* name, bool required) const;
  const Json& params_;
};

}  // namespace framecall
