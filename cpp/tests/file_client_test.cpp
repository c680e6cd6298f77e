// Files over calls with our own client.
#include "framecall/file_client.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include "framecall/digest.hpp"
#include "framecall/error.hpp"
#include "running_server.hpp"
#include "script.hpp"

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
  // A part of what is not there any more is not gone on with.
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
