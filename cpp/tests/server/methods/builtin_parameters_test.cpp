// The parameters of built-ins: the document and the check, from one definition.
#include "server/methods/builtin_parameters.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "framecall/error.hpp"

namespace framecall::builtin_parameters_test {
namespace {

constexpr BuiltinParameter<TextKind> text{"text"};
constexpr BuiltinParameter<FileNameKind> file_name{"file", true};
constexpr BuiltinParameter<SizeKind> size{"size"};
constexpr BuiltinParameter<FlagKind> flag{"flag"};
constexpr BuiltinParameter<AnyKind> any{"any"};
const std::vector<ParameterInfo> known = {text, file_name, size, flag, any};

std::string refusal(const std::function<void()>& work) {
  try {
    work();
    return "none";
  } catch (const CallError& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_params);
    return error.what();
  }
}

TEST(BuiltinParameters, describe_themselves) {
  const Json schemas[] = {{{"type", "string"}},
                          {{"type", "string"}},
                          {{"type", "integer"}, {"minimum", 0}},
                          {{"type", "boolean"}},
                          Json::object()};
  for (std::size_t i = 0; i < known.size(); ++i) EXPECT_EQ(known[i].schema, schemas[i]) << known[i].name;
  EXPECT_TRUE(known[1].required);
  EXPECT_FALSE(known[0].required);
}

TEST(BuiltinParameters, are_read) {
  const Json params = parse_json(R"({"text": "t", "file": "f", "size": 9223372036854775807, "flag": true})");
  const BuiltinParams read(params, known);
  EXPECT_EQ(read.find(text), "t");
  EXPECT_EQ(read.get(file_name), "f");
  EXPECT_EQ(read.find(size), std::uint64_t{INT64_MAX});
  EXPECT_EQ(read.find(flag), true);
}

TEST(BuiltinParameters, that_are_null_or_absent_are_nothing) {
  for (const char* given : {"null", "{}", R"({"text": null, "file": null})"}) {
    const Json params = parse_json(given);
    const BuiltinParams read(params, known);
    EXPECT_EQ(read.find(text), std::nullopt) << given;
    EXPECT_EQ(refusal([&] { read.get(file_name); }), "parameter file is missing") << given;
    EXPECT_EQ(refusal([&] { read.find(file_name); }), "parameter file is missing") << given;
  }
}

TEST(BuiltinParameters, that_do_not_fit_are_refused_by_name) {
  const auto find = [](const char* given, const auto& parameter) {
    return refusal([&] {
      const Json params = parse_json(given);
      BuiltinParams(params, known).find(parameter);
    });
  };
  EXPECT_EQ(find("[1]", text), "params: expected an object, got [1]");
  EXPECT_EQ(find(R"({"texts": 1})", text), "unknown parameter texts");
  EXPECT_EQ(find(R"({"text": 5})", text), "parameter text: expected a string, got 5");
  EXPECT_EQ(find(R"({"size": -1})", size), "parameter size: expected an integer, 0 or more, got -1");
  EXPECT_EQ(find(R"({"size": 1.0})", size), "parameter size: expected an integer, 0 or more, got 1.0");
  EXPECT_EQ(find(R"({"size": 9223372036854775808})", size),
            "parameter size: expected an integer below 2^63, got 9223372036854775808");
  EXPECT_EQ(find(R"({"flag": 1})", flag), "parameter flag: expected true or false, got 1");
  EXPECT_NE(find(R"({"file": "../x"})", file_name), "none");
}

}  // namespace
}  // namespace framecall::builtin_parameters_test
