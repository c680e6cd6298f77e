// The built-ins about files, without a server.
#include "server/methods/file_methods.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "framecall/detail/file_upload.hpp"
#include "framecall/error.hpp"
#include "server/methods/builtin_parameters.hpp"
#include "server/server_state.hpp"
#include "support/temporary_folder.hpp"

namespace framecall::file_methods_test {
namespace {

class FileMethods : public testing::Test {
 protected:
  FileMethods() : server_(options()) {}

  static const BuiltinMethod& row(std::string_view name) {
    static const std::vector<BuiltinMethod> rows = file_methods();
    for (const BuiltinMethod& one : rows) {
      if (one.name == name) return one;
    }
    throw std::invalid_argument(std::string(name));
  }
  std::string ask(std::string_view name, const char* text) {
    const Json params = parse_json(text);
    try {
      return std::get<AnswerAboutFiles>(row(name).function)(files(), BuiltinParams(params, row(name).parameters), {})
          .result;
    } catch (const CallError& error) {
      return error.what();
    }
  }
  std::unique_ptr<IncomingBody> put(const char* text, std::uint64_t body_size, std::string_view digest = {}) {
    const Json params = parse_json(text);
    return std::get<ReceiveBody>(row("file.put").function)(server_, BuiltinParams(params, row("file.put").parameters),
                                                           digest, body_size);
  }
  std::string refused_put(const char* text, std::uint64_t body_size) {
    try {
      put(text, body_size);
      return "none";
    } catch (const CallError& error) {
      return error.what();
    }
  }
  void store(std::string_view name, std::string_view content) {
    FileStore::Upload upload = files().begin(name);
    upload.write(content);
    upload.publish();
  }
  FileStore& files() { return *server_.options.files; }

  TemporaryFolder root_;
  ServerState server_;

 private:
  ServerOptions options() {
    ServerOptions options;
    options.files = std::make_shared<FileStore>(root_.path());
    options.max_file = 100;
    return options;
  }
};

TEST_F(FileMethods, list_names_the_files_a_page_at_a_time) {
  for (const char* name : {"b", "a", "c"}) store(name, name);
  const Json page = parse_json(ask("file.list", R"({"limit": 2})"));
  EXPECT_EQ(page["files"].size(), 2u);
  EXPECT_EQ(page["files"][0]["name"], "a");
  EXPECT_EQ(page["next"], "b");
  EXPECT_EQ(parse_json(ask("file.list", R"({"after": "b"})"))["files"][0]["name"], "c");
  EXPECT_EQ(ask("file.list", R"({"limit": 0})"), "parameter limit: expected 1 .. 10000, got 0");
  EXPECT_EQ(ask("file.list", R"({"prefix": "x"})"), R"({"files": [], "next": null})");
}

TEST_F(FileMethods, stat_and_remove_name_a_file) {
  store("f", "four");
  EXPECT_EQ(parse_json(ask("file.stat", R"({"name": "f"})"))["size"], 4);
  EXPECT_EQ(ask("file.stat", R"({"name": "f", "partial": true})"), R"({"offset": 0})");
  EXPECT_EQ(ask("file.remove", R"({"name": "f"})"), R"({"name": "f"})");
  EXPECT_FALSE(files().exists("f"));
}

TEST_F(FileMethods, get_opens_a_range) {
  store("f", "0123456789");
  const Json params = {{"name", "f"}, {"offset", 2}, {"length", 3}};
  const OutgoingFile file =
      std::get<SendFile>(row("file.get").function)(files(), BuiltinParams(params, row("file.get").parameters));
  EXPECT_EQ(file.file.offset(), 2u);
  EXPECT_EQ(file.file.length(), 3u);
  EXPECT_EQ(file.response.value()["size"], 10);
}

TEST_F(FileMethods, put_refuses_before_any_of_the_body_is_taken) {
  EXPECT_EQ(refused_put(R"({"name": "f", "size": 3})", 4),
            "a body of 4 bytes, where size 3 and offset 0 leave another number");
  EXPECT_EQ(refused_put(R"({"name": "f"})", 101), "file \"f\" of 101 bytes: max_file is 100");
  EXPECT_EQ(refused_put(R"({"name": "f", "if_exists": "keep"})", 1),
            "parameter if_exists: expected \"replace\" or \"reject\", got keep");
  store("f", "x");
  EXPECT_EQ(refused_put(R"({"name": "f", "if_exists": "reject"})", 1), "\"f\" is there already");
  EXPECT_EQ(server_.uploads, 0u);
}

TEST_F(FileMethods, put_checks_the_digest_of_the_body) {
  const auto body = put(R"({"name": "f"})", 2, R"({"sha-256": "wrong"})");
  body->write("ab");
  EXPECT_THROW(body->finish({}), CallError);
  EXPECT_FALSE(files().exists("f"));
}

TEST_F(FileMethods, the_rest_of_a_put_runs_in_turn_because_it_reads_the_whole_file) {
  put(R"({"name": "f", "size": 4})", 4)->write("ab");  // cut off
  const auto rest = put(R"({"name": "f", "size": 4, "offset": 2})", 2);
  EXPECT_EQ(rest->runs_on(), RunsOn::worker_in_turn);
  rest->write("cd");
  EXPECT_EQ(rest->finish({}).value()["sha256"], "88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589");
  EXPECT_EQ(content_of(root_ / "f"), "abcd");
}

}  // namespace
}  // namespace framecall::file_methods_test
