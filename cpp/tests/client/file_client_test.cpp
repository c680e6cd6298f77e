// Files over calls with our own client.
#include "framecall/file_client.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "framecall/error.hpp"
#include "framecall/wire/digest.hpp"
#include "support/running_server.hpp"
#include "support/script.hpp"

namespace framecall::file_client_test {
namespace {

namespace fs = std::filesystem;

struct Stop {};

std::string content(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 31 + i / 7000);
  return text;
}

struct Files {
  Files() : client(server.tcp) {}
  fs::path make(const std::string& name, const std::string& text) {
    std::ofstream(folder.path() / name, std::ios::binary) << text;
    return folder.path() / name;
  }
  fs::path stored(const std::string& name) const { return server.root.path() / name; }
  Running server;
  TemporaryFolder folder;
  FileClient client;
};

TEST(FileClient, writes_lengths_as_its_dialect_does) {
  Running server(Running::in_dialect("big-endian"));
  TemporaryFolder folder;
  std::ofstream(folder.path() / "source") << "content";
  ClientOptions options;
  options.dialect = std::make_shared<const Dialect>(find_dialect("big-endian"));
  FileClient client(server.tcp, options);
  EXPECT_EQ(client.put(folder.path() / "source", "a").size, 7u);
  EXPECT_EQ(client.stat("a").size, 7u);
  EXPECT_EQ(client.get("a", folder.path() / "target").size, 7u);
  EXPECT_EQ(content_of(folder.path() / "target"), "content");
}

TEST(FileClient, puts_and_gets) {
  Files files;
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{300000}, std::size_t{9000001}}) {
    const std::string text = content(size), name = "f" + std::to_string(size);
    const fs::path source = files.make("source", text), target = files.folder.path() / "target";
    std::uint64_t told = 0;
    PutOptions options;
    options.progress = [&](std::uint64_t done, std::uint64_t all) {
      EXPECT_GE(done, told);
      EXPECT_EQ(all, size);
      told = done;
    };
    const Transfer put = files.client.put(source, name, options);
    EXPECT_EQ(told, size);
    EXPECT_EQ(put.moved, size);
    EXPECT_EQ(content_of(files.stored(name)), text);
    const Transfer got = files.client.get(name, target);
    EXPECT_EQ(got.size, size);
    EXPECT_EQ(content_of(target), text);
    EXPECT_FALSE(fs::exists(files.folder.path() / "target.part"));
    const FileInfo info = files.client.stat(name);
    EXPECT_EQ(info.size, size);
    EXPECT_EQ(info.name, name);
  }
  EXPECT_EQ(files.client.list().size(), 4u);
  EXPECT_EQ(files.client.list("f9").size(), 1u);
  files.client.remove("f1");
  EXPECT_EQ(files.client.list().size(), 3u);
  std::string range;
  GetOptions options;
  options.offset = 10;
  options.length = 20;
  files.client.read("f300000", [&](std::string_view bytes) { range += bytes; }, options);
  EXPECT_EQ(range, content(300000).substr(10, 20));
}

TEST(FileClient, goes_on_with_a_put_that_was_cut_off) {
  Files files;
  const std::string text = content(20000000);
  const fs::path source = files.make("source", text);
  PutOptions options;
  options.progress = [](std::uint64_t done, std::uint64_t) {
    if (done > 8000000) throw Stop();
  };
  EXPECT_THROW(files.client.put(source, "f", options), Stop);
  options.progress = nullptr;
  options.resume = true;
  FileClient other(files.server.tcp);  // while the server may not have noticed the end of the first connection
  EXPECT_FALSE(fs::exists(files.stored("f")));
  // The first client gives its connection up with its next call.
  EXPECT_EQ(files.client.list().size(), 0u);
  const Transfer rest = other.put(source, "f", options);
  EXPECT_LT(rest.moved, 13000000u);
  EXPECT_GT(rest.moved, 1000000u);
  EXPECT_EQ(content_of(files.stored("f")), text);
  EXPECT_EQ(other.put(source, "f", options).moved, 0u) << "it is there already";
}

TEST(FileClient, does_not_go_on_with_a_part_of_another_file) {
  Files files;
  PutOptions options;
  options.progress = [](std::uint64_t done, std::uint64_t) {
    if (done > 0) throw Stop();
  };
  EXPECT_THROW(files.client.put(files.make("one", content(9000000)), "f", options), Stop);
  files.client.list();
  options.progress = nullptr;
  options.resume = true;
  const std::string text(9000000, 'z');
  EXPECT_EQ(files.client.put(files.make("two", text), "f", options).moved, text.size());
  EXPECT_EQ(content_of(files.stored("f")), text);
}

TEST(FileClient, goes_on_with_a_get_that_was_cut_off) {
  Files files;
  const std::string text = content(20000000);
  files.client.put(files.make("source", text), "f");
  const fs::path target = files.folder.path() / "target", part = files.folder.path() / "target.part";
  GetOptions options;
  options.progress = [](std::uint64_t done, std::uint64_t) {
    if (done > 8000000) throw Stop();
  };
  EXPECT_THROW(files.client.get("f", target, options), Stop);
  EXPECT_FALSE(fs::exists(target));
  EXPECT_TRUE(fs::exists(part));
  options.progress = nullptr;
  options.resume = true;
  const Transfer rest = files.client.get("f", target, options);
  EXPECT_LT(rest.moved, 12000000u);
  EXPECT_EQ(rest.size, text.size());
  EXPECT_EQ(content_of(target), text);
  // A part is not resumed when the file on the server is gone.
  options.progress = [](std::uint64_t, std::uint64_t) { throw Stop(); };
  EXPECT_THROW(files.client.get("f", target, options), Stop);
  const std::string other(text.size(), 'o');
  files.client.put(files.make("other", other), "f");
  fs::last_write_time(files.stored("f"), fs::file_time_type::clock::now() + std::chrono::hours(1));
  options.progress = nullptr;
  EXPECT_EQ(files.client.get("f", target, options).moved, other.size());
  EXPECT_EQ(content_of(target), other);
}

TEST(FileClient, says_why_not) {
  Files files;
  const fs::path source = files.make("source", "hello");
  files.client.put(source, "f");
  PutOptions reject;
  reject.replace = false;
  EXPECT_THROW(files.client.put(source, "f", reject), RemoteError);
  EXPECT_THROW(files.client.put(source, "a/b"), RemoteError);
  EXPECT_THROW(files.client.put(files.folder.path(), "x"), std::runtime_error);
  EXPECT_THROW(files.client.put(files.folder.path() / "no", "x"), std::system_error);
  EXPECT_THROW(files.client.get("no", files.folder.path() / "target"), RemoteError);
  EXPECT_FALSE(fs::exists(files.folder.path() / "target.part"));
  EXPECT_THROW(files.client.get("f", files.folder.path()), std::system_error);
  GetOptions options;
  options.offset = 6;
  EXPECT_THROW(files.client.get("f", files.folder.path() / "target", options), RemoteError);
  options.resume = true;
  EXPECT_THROW(files.client.get("f", files.folder.path() / "target", options), std::invalid_argument);
  EXPECT_EQ(files.client.stat("f").size, 5u) << "the connection goes on";
  Script script([](Peer& peer) { peer.receive(30); });
  FileClient lost(script.endpoint());
  EXPECT_THROW(lost.put(source, "f"), UnavailableError);
}

// A server that answers each call with the next of `replies`: header, then body.
class Liar {
 public:
  explicit Liar(std::vector<std::pair<std::string, std::string>> replies)
      : script_([replies = std::move(replies)](Peer& peer) {
          try {
            for (const auto& [header, body] : replies) {
              receive_header(peer);
              peer.send(encode_head(header) + body);
            }
            while (!peer.receive_some().empty()) {
            }
          } catch (const std::exception&) {  // the client has seen enough
          }
        }) {}
  const Endpoint& endpoint() const { return script_.endpoint(); }

 private:
  Script script_;
};

std::string reply(int id, const std::string& result, const std::string& more = {}) {
  return R"({"jsonrpc": "2.0", "id": )" + std::to_string(id) + R"(, "result": )" + result + more + "}";
}

constexpr const char* invalid_request = "protocol -32600: ";

// What `call` makes of a reply of this result.
std::string judged(const std::string& result, const std::function<void(FileClient&)>& call,
                   const std::string& more = {}, const std::string& body = {}) {
  const Liar server({{reply(1, result, more), body}});
  FileClient client(server.endpoint());
  std::string text = failure([&] { call(client); });
  const std::string address = server.endpoint().to_string();
  if (const auto at = text.find(address); at != std::string::npos) text.replace(at, address.size(), "HERE");
  return text;
}

TEST(FileClient, a_result_of_the_wrong_shape_is_an_error_that_shows_it) {
  const auto stat = [](FileClient& client) { client.stat("x"); };
  EXPECT_EQ(judged("null", stat), "protocol -32600: HERE: file.stat: the result is not an object: null");
  EXPECT_EQ(judged("{}", stat), "protocol -32600: HERE: file.stat: \"name\" is missing: {}");
  EXPECT_EQ(judged(R"({"name": 1})", stat),
            "protocol -32600: HERE: file.stat: \"name\" is not a string: {\"name\": 1}");
  for (const std::string size :
       {"-1", "1.5", "9223372036854775808", "1e400", "null", "\"5\"", "99999999999999999999"}) {
    EXPECT_EQ(judged(R"({"name": "x", "size": )" + size + R"(, "mtime": 0})", stat).substr(0, 78),
              "protocol -32600: HERE: file.stat: \"size\" is not an integer of 0 .. 2^63-1: {\"n")
        << size;
  }
  for (const std::string mtime : {"1e300", "NaN", "[]", "-Infinity", "\"now\""}) {
    EXPECT_TRUE(judged(R"({"name": "x", "size": 1, "mtime": )" + mtime + "}", stat).find("\"mtime\" is not a time") !=
                std::string::npos)
        << mtime;
  }
  EXPECT_EQ(judged(R"({"name": "x", "size": 1, "mtime": 1.5})", stat), "nothing");
  const auto partial = [](FileClient& client) { client.partial("x"); };
  EXPECT_EQ(judged("[]", partial), "protocol -32600: HERE: file.stat: the result is not an object: []");
  const auto list = [](FileClient& client) { client.list(); };
  EXPECT_EQ(judged("7", list), "protocol -32600: HERE: file.list: the result is not an object: 7");
  EXPECT_EQ(judged(R"({"files": {}})", list),
            "protocol -32600: HERE: file.list: \"files\" is not an array: {\"files\": {}}");
  EXPECT_EQ(judged(R"({"files": [3], "next": null})", list),
            "protocol -32600: HERE: file.list: the result is not an object: 3");
  EXPECT_EQ(judged(R"({"files": []})", list), "protocol -32600: HERE: file.list: \"next\" is missing: {\"files\": []}");
  EXPECT_EQ(
      judged(R"({"files": [{"name": ")" + std::string(256, 'x') + R"(", "size": 1, "mtime": 1}], "next": null})", list)
          .substr(0, 71),
      "protocol -32600: HERE: file.list: the name has 256 bytes, at most 255: ");
  TemporaryFolder folder;
  std::ofstream(folder.path() / "source") << "hello";
  const auto put = [&](FileClient& client) { client.put(folder.path() / "source", "x"); };
  EXPECT_EQ(judged("{}", put), "protocol -32600: HERE: file.put: \"sha256\" is missing: {}");
  Digest digest(DigestKind::sha256);
  digest.update("hello");
  const std::string sum = digest.finish();
  EXPECT_EQ(judged(R"({"sha256": ")" + sum + R"(", "size": 4})", put).substr(0, 53),
            "protocol -32600: HERE: file.put: \"size\" is not 5: {\"s");
  EXPECT_EQ(judged(R"({"sha256": ")" + sum + R"("})", put), "nothing");
}

TEST(FileClient, a_file_of_another_size_than_announced_is_not_stored) {
  struct Case {
    std::string result;
    std::uint64_t body_size;
    std::string problem;
  };
  const Case cases[] = {
      {R"({"name": "x", "size": 5000, "offset": 0, "length": 5000, "mtime": 1})", 5, "body_size is 5 instead of 5000"},
      {R"({"size": 5, "length": 5, "mtime": 1})", 6, "body_size is 6 instead of 5"},
      {R"({"size": 5, "length": 4, "mtime": 1})", 5, "\"length\" is 4 instead of 5"},
      {R"({"size": 5, "offset": 1, "mtime": 1})", 5, "\"offset\" is 1 instead of 0"},
      {R"({"size": 5})", 5, "\"mtime\" is missing"},
      {R"({"mtime": 5})", 5, "\"size\" is missing"},
      {R"([])", 5, "the result is not an object"},
      {R"({"size": 5, "length": 5, "mtime": 1})", std::uint64_t{1} << 62,
       "body_size is 4611686018427387904 instead of 5"},
  };
  for (const Case& one : cases) {
    TemporaryFolder folder;
    const fs::path target = folder.path() / "target";
    std::ofstream(target) << "older";
    const std::string more = R"(, "body_size": )" + std::to_string(one.body_size);
    const std::string text = judged(
        one.result, [&](FileClient& client) { client.get("x", target); }, more,
        std::string(std::min<std::uint64_t>(one.body_size, 300'000), 'x'));
    EXPECT_TRUE(text.starts_with(invalid_request) && text.find(one.problem) != std::string::npos) << text;
    EXPECT_EQ(content_of(target), "older");
    EXPECT_FALSE(fs::exists(folder.path() / "target.part")) << one.result;
  }
}

TEST(FileClient, a_file_that_the_disk_has_no_room_for_is_not_begun) {
  TemporaryFolder folder;
  const std::string size = std::to_string(std::uint64_t{1} << 62);
  const std::string result = R"({"size": )" + size + R"(, "length": )" + size + R"(, "mtime": 1})";
  const std::string text = judged(
      result, [&](FileClient& client) { client.get("x", folder.path() / "target"); }, R"(, "body_size": )" + size,
      std::string(300'000, 'x'));
  EXPECT_TRUE(text.starts_with("system " + std::to_string(ENOSPC))) << text;
  EXPECT_TRUE(fs::is_empty(folder.path()));
  GetOptions options;
  options.max_size = 4;
  EXPECT_EQ(
      judged(
          R"({"size": 5, "mtime": 1})", [&](FileClient& client) { client.get("x", folder.path() / "target", options); },
          R"(, "body_size": 5)", "hello"),
      "protocol -32048: HERE: file.get: 5 bytes, max_size is 4");
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(FileClient, a_damaged_file_leaves_no_part) {
  TemporaryFolder folder;
  const std::string text = judged(
      R"({"size": 5, "mtime": 1})", [&](FileClient& client) { client.get("x", folder.path() / "target"); },
      R"(, "body_size": 5, "digest": {"sha-256": "AAAA"})", "hello");
  EXPECT_TRUE(text.starts_with("protocol -32055: ")) << text;
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(FileClient, a_list_ends) {
  const std::string page = R"({"files": [{"name": "b", "size": 1, "mtime": 1}], "next": "b"})";
  const Liar again({{reply(1, page), ""}, {reply(2, page), ""}, {reply(3, page), ""}});
  FileClient client(again.endpoint());
  const std::string text = failure([&] { client.list(); });
  EXPECT_TRUE(text.find("\"next\" does not go on behind \"b\"") != std::string::npos) << text;
  EXPECT_TRUE(judged(R"({"files": [], "next": "a"})", [](FileClient& one) { one.list(); }).find("does not go on") !=
              std::string::npos);
}

TEST(FileClient, a_list_comes_in_pages) {
  const auto page = [](int id, const std::string& next) {
    return std::pair(reply(id, R"({"files": [{"name": "x", "size": 1, "mtime": 1}], "next": )" + next + "}"),
                     std::string());
  };
  const Liar server({page(1, "\"b\""), page(2, "\"c\""), page(3, "null")});
  FileClient client(server.endpoint());
  std::vector<std::size_t> pages;
  client.list("", [&](const std::vector<FileInfo>& files) { pages.push_back(files.size()); });
  EXPECT_EQ(pages, (std::vector<std::size_t>{1, 1, 1}));
}

TEST(FileClient, connects_again) {
  Files files;
  files.client.put(files.make("source", "hello"), "f");
  files.server.server->stop();
  files.server.server->wait();
  files.server.server.reset();
  EXPECT_THROW(files.client.list(), std::system_error);
}

}  // namespace
}  // namespace framecall::file_client_test
