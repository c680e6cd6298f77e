// The rows of the table of built-ins: what holds for each of them.
#include "server/methods/method_table.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <variant>

#include "framecall/router.hpp"
#include "server/methods/builtin_parameters.hpp"
#include "server/server_state.hpp"
#include "support/temporary_folder.hpp"

namespace framecall::method_table_test {
namespace {

TEST(MethodTable, each_name_has_one_row_and_a_summary) {
  std::set<std::string> names;
  for (const BuiltinMethod& row : method_table()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_FALSE(row.summary.empty()) << row.name;
  }
  EXPECT_GE(names.size(), 12u);
}

TEST(MethodTable, the_function_of_a_row_fits_the_place_where_it_runs) {
  for (const BuiltinMethod& row : method_table()) {
    EXPECT_EQ(std::holds_alternative<AnswerOnLoop>(row.function), row.runs_on == RunsOn::loop) << row.name;
    EXPECT_TRUE(!row.by_datagram || row.runs_on == RunsOn::loop) << row.name << ": a datagram waits for no worker";
    if (std::holds_alternative<SendFile>(row.function)) {
      EXPECT_EQ(row.runs_on, RunsOn::worker_in_turn) << row.name << " keeps a file open";
    }
  }
}

TEST(MethodTable, a_router_starts_with_its_rows) {
  const Router router;
  for (const BuiltinMethod& row : method_table()) {
    const Method* const method = router.find(row.name);
    ASSERT_NE(method, nullptr) << row.name;
    ASSERT_TRUE(method->builtin) << row.name;
    EXPECT_EQ(method->summary, row.summary);
    EXPECT_EQ(method->parameters.size(), row.parameters.size()) << row.name;
    EXPECT_EQ(method->where, row.runs_on == RunsOn::loop ? Method::Where::loop : Method::Where::files) << row.name;
  }
}

// What a row that runs on a worker answers, or the message of its refusal.
std::string refusal(const BuiltinMethod& row, const Json& params, ServerState& server) {
  try {
    const BuiltinParams checked(params, row.parameters);
    if (const auto* about = std::get_if<AnswerAboutFiles>(&row.function)) (*about)(*server.options.files, checked, {});
    if (const auto* send = std::get_if<SendFile>(&row.function)) (*send)(*server.options.files, checked);
    if (const auto* receive = std::get_if<ReceiveBody>(&row.function)) (*receive)(server, checked, {}, 0);
    return {};
  } catch (const CallError& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_params) << row.name << error.what();
    return error.what();
  }
}

// A value of the parameter's type, or of another one.
Json value_for(const Json& schema, bool good) {
  if (schema.contains("enum")) return good ? schema["enum"][0] : Json("something else");
  if (schema["type"] == "string") return good ? Json("x") : Json(5);
  if (schema["type"] == "integer") return good ? Json(0) : Json("x");
  return good ? Json(true) : Json("x");
}

TEST(MethodTable, what_the_document_says_about_a_parameter_is_checked) {
  const TemporaryFolder root;
  ServerOptions options;
  options.files = std::make_shared<FileStore>(root.path());
  FileStore& files = *options.files;
  ServerState server(std::move(options));
  for (const BuiltinMethod& row : method_table()) {
    if (row.runs_on == RunsOn::loop) continue;
    files.begin("x").publish();  // for the rows that need it
    Json required = Json::object();
    for (const ParameterInfo& parameter : row.parameters) {
      if (parameter.required) required[parameter.name] = value_for(parameter.schema, true);
    }
    Json unknown = required;
    unknown["nonsense"] = 1;
    EXPECT_EQ(refusal(row, unknown, server), "unknown parameter nonsense") << row.name;
    EXPECT_EQ(refusal(row, Json::array(), server), "params: expected an object, got []") << row.name;
    for (const ParameterInfo& parameter : row.parameters) {
      Json absent = required, wrong = required;
      absent.erase(parameter.name);
      wrong[parameter.name] = value_for(parameter.schema, false);
      if (parameter.required) {
        EXPECT_EQ(refusal(row, absent, server), "parameter " + parameter.name + " is missing") << row.name;
      }
      EXPECT_TRUE(refusal(row, wrong, server).starts_with("parameter " + parameter.name + ": expected "))
          << row.name << ": " << refusal(row, wrong, server);
    }
    EXPECT_EQ(refusal(row, required, server), "") << row.name;
  }
}

}  // namespace
}  // namespace framecall::method_table_test
