#include "server/methods/builtin_parameters.hpp"

#include <algorithm>

#include "framecall/detail/file_store.hpp"
#include "framecall/error.hpp"

namespace framecall {
namespace {

[[noreturn]] void refuse_type(const char* name, std::string_view expected, const Json& got) {
  refuse_value(name, expected, printable(dump_json(got), 60));
}

}  // namespace

void refuse_params(const std::string& message) { throw CallError(ErrorCode::invalid_params, message); }

void refuse_value(const char* name, std::string_view expected, std::string_view got) {
  refuse_params(
      std::string("parameter ").append(name).append(": expected ").append(expected).append(", got ").append(got));
}

std::string TextKind::read(const char* name, const Json& value) {
  if (!value.is_string()) refuse_type(name, "a string", value);
  return value.get<std::string>();
}

std::string FileNameKind::read(const char* name, const Json& value) {
  std::string text = TextKind::read(name, value);
  check_file_name(text);
  return text;
}

std::uint64_t SizeKind::read(const char* name, const Json& value) {
  if (!value.is_number_unsigned() && !(value.is_number_integer() && value.get<std::int64_t>() >= 0)) {
    refuse_type(name, "an integer, 0 or more", value);
  }
  const auto number = value.get<std::uint64_t>();
  if (number > std::uint64_t{INT64_MAX}) refuse_type(name, "an integer below 2^63", value);
  return number;
}

bool FlagKind::read(const char* name, const Json& value) {
  if (!value.is_boolean()) refuse_type(name, "true or false", value);
  return value.get<bool>();
}

BuiltinParams::BuiltinParams(const Json& params, const std::vector<ParameterInfo>& known) : params_(params) {
  if (params.is_null()) return;
  if (!params.is_object()) refuse_params("params: expected an object, got " + printable(dump_json(params), 60));
  for (const auto& [key, value] : params.items()) {
    const bool found = std::any_of(known.begin(), known.end(),
                                   [&key = key](const ParameterInfo& parameter) { return parameter.name == key; });
    if (!found) refuse_params("unknown parameter " + printable(key, 40));
  }
}

const Json* BuiltinParams::value_of(const char* name, bool required) const {
  if (!params_.is_null()) {
    const auto found = params_.find(name);
    if (found != params_.end() && !found->is_null()) return &*found;
  }
  if (required) refuse_params(std::string("parameter ") + name + " is missing");
  return nullptr;
}

}  // namespace framecall
