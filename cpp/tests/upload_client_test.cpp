#include "framecall/upload_client.hpp"

#include <gtest/gtest.h>
#include <linux/tcp.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "framecall/dialect.hpp"
#include "framecall/error.hpp"
#include "framecall/file_store.hpp"
#include "framecall/json.hpp"
#include "framecall/server.hpp"
#include "peer.hpp"
#include "temporary_folder.hpp"

namespace framecall {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using namespace std::string_literals;

// Without data on the disk.
fs::path sparse_file(const TemporaryFolder& folder, std::uint64_t size) {
  const fs::path path = folder / "sparse";
  make_file(path, "");
  fs::resize_file(path, size);
  return path;
}

unsigned segments_received(const Peer& peer) {
  tcp_info info{};
  socklen_t size = sizeof info;
  EXPECT_EQ(::getsockopt(peer.socket(), IPPROTO_TCP, TCP_INFO, &info, &size), 0);
  return info.tcpi_data_segs_in;
}

// The network error that `call` throws.
template <typename Call>
std::system_error network_error(Call call) {
  try {
    call();
  } catch (const std::system_error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return std::system_error(std::error_code());
}

const std::string refusal =
    encode_head(R"({"jsonrpc": "2.0", "id": null, "error": {"code": -32048, "message": "full\u001b", )"
                R"("data": {"limit": 1, "got": [2]}}})");

void expect_refusal(const RemoteError& error) {
  EXPECT_EQ(error.code(), -32048);
  EXPECT_STREQ(error.what(), "full\\x1b");
  EXPECT_EQ(parse_json(error.data()), parse_json(R"({"limit": 1, "got": [2]})"));
}

TEST(UploadClient, sends_exactly_what_is_taught) {
  TemporaryFolder folder;
  PeerListener listener;
  const std::string content = some_bytes(5'000'000);
  make_file(folder / "big", content);
  make_file(folder / "small", "hello\n");
  make_file(folder / "empty", "");
  std::vector<std::uint64_t> steps;
  UploadOptions options;
  options.progress = [&](std::uint64_t sent, std::uint64_t size) {
    EXPECT_LE(sent, size);
    steps.push_back(sent);
  };
  UploadClient client(listener.endpoint(), options);
  Peer peer = listener.accept();
  std::string got;
  std::thread receiver([&] {
    got = peer.receive_all();
    peer.close();
  });
  EXPECT_EQ(client.send_file(folder / "small", "a.txt"), 6u);
  EXPECT_EQ(steps, (std::vector<std::uint64_t>{0, 6}));
  steps.clear();
  EXPECT_EQ(client.send_file(folder / "empty", "你"), 0u);
  EXPECT_EQ(steps, (std::vector<std::uint64_t>{0}));
  steps.clear();
  EXPECT_EQ(client.send_file(folder / "big", "big"), content.size());
  EXPECT_EQ(steps.front(), 0u);
  EXPECT_EQ(steps.back(), content.size());
  EXPECT_TRUE(std::is_sorted(steps.begin(), steps.end()));
  EXPECT_TRUE(client.finish());
  receiver.join();
  const std::string expected = "\x26\0\0\0"s + R"({"file_name": "a.txt", "file_size": 6})" + "hello\n" + "\x27\0\0\0"s +
                               R"({"file_name": "\u4f60", "file_size": 0})" + "\x2a\0\0\0"s +
                               R"({"file_name": "big", "file_size": 5000000})" + content;
  EXPECT_EQ(got.substr(0, 200), expected.substr(0, 200));
  EXPECT_TRUE(got == expected);
}

TEST(UploadClient, prefix_header_and_small_body_are_one_segment) {
  TemporaryFolder folder;
  PeerListener listener;
  for (const std::string content : {"", "x", "hello\n"}) {
    make_file(folder / "a", content);
    UploadClient client(listener.endpoint());
    Peer peer = listener.accept();
    client.send_file(folder / "a", "a");
    const std::string expected = encode_head(upload_header(default_dialect(), "a", content.size())) + content;
    EXPECT_EQ(peer.receive_some(), expected);
    EXPECT_EQ(segments_received(peer), 1u);
  }
}

TEST(UploadClient, spells_the_header_as_its_dialect_does) {
  TemporaryFolder folder;
  PeerListener listener;
  make_file(folder / "a", "a");
  UploadOptions options;
  options.dialect.size_keys = {"file_siz"};
  UploadClient client(listener.endpoint(), options);
  Peer peer = listener.accept();
  client.send_file(folder / "a", "a");
  EXPECT_EQ(peer.receive_some(), encode_head(R"({"file_name": "a", "file_siz": 1})") + "a");
}

TEST(UploadClient, fills_the_folder_of_a_server) {
  TemporaryFolder folder, root;
  ServerOptions server_options;
  server_options.files = std::make_shared<FileStore>(root.path());
  Server server(server_options);
  const Endpoint tcp = server.listen(Endpoint::parse("127.0.0.1:0"));
  const Endpoint un = server.listen(Endpoint::parse("unix:" + (folder / "s").string()));
  server.start();
  make_file(folder / "big", some_bytes(20 << 20));
  for (const Endpoint& endpoint : {tcp, un}) {
    UploadClient client(endpoint);
    client.send_file(folder / "big", "big" + std::to_string(endpoint.port));
    EXPECT_TRUE(client.finish());
    EXPECT_TRUE(content_of(root / ("big" + std::to_string(endpoint.port))) == some_bytes(20 << 20));
    UploadClient refused(endpoint);
    try {
      refused.send_file(folder / "big", "..");
      refused.finish();
      ADD_FAILURE();
    } catch (const RemoteError& error) {
      EXPECT_EQ(error.code(), static_cast<int>(ErrorCode::invalid_params));
    }
  }
}

TEST(UploadClient, a_refusal_is_thrown_wherever_it_arrives) {
  TemporaryFolder folder;
  PeerListener listener;
  make_file(folder / "small", "hello");
  for (const std::string when : {"while sending", "at the end", "before a reset", "behind other words"}) {
    std::optional<Peer> peer;
    UploadOptions options;
    options.progress = [&](std::uint64_t sent, std::uint64_t) {
      if (when == "at the end" || when == "behind other words" || sent == 0 || !peer) return;
      peer->send(refusal);
      if (when == "before a reset") peer.reset();  // with unread bytes: a reset
    };
    UploadClient client(listener.endpoint(), options);
    peer.emplace(listener.accept());
    try {
      if (when == "while sending" || when == "before a reset") {
        client.send_file(sparse_file(folder, 256 << 20), "a");
      } else {
        client.send_file(folder / "small", "a");
        if (when == "behind other words") peer->send(encode_head(R"({"server": "hello"})"));
        peer->send(refusal);
        client.finish();
      }
      ADD_FAILURE() << when;
    } catch (const RemoteError& error) {
      expect_refusal(error);
    }
  }
}

TEST(UploadClient, other_words_of_a_receiver_are_not_for_us) {
  TemporaryFolder folder;
  PeerListener listener;
  make_file(folder / "a", "hello");
  for (const std::string& words :
       {"OK\n"s, encode_head(R"({"status": "ok"})"), encode_head(R"({"error": null})"), "\2"s}) {
    UploadClient client(listener.endpoint());
    Peer peer = listener.accept();
    peer.send(words);
    client.send_file(folder / "a", "a");
    peer.send(words);
    std::thread receiver([&] {
      peer.receive_all();
      peer.close();
    });
    EXPECT_TRUE(client.finish());
    receiver.join();
  }
}

TEST(UploadClient, a_reset_is_an_error_and_no_signal) {
  TemporaryFolder folder;
  const auto handler_before = std::signal(SIGPIPE, SIG_DFL);  // which would end this program
  for (const bool broken_pipe : {false, true}) {
    PeerListener listener;
    std::optional<Peer> peer;
    UploadOptions options;
    options.progress = [&](std::uint64_t sent, std::uint64_t) {
      if (sent == 0 || !peer) return;
      if (broken_pipe) peer->half_close();
      peer->reset();
      peer.reset();
    };
    UploadClient client(listener.endpoint(), options);
    peer.emplace(listener.accept());
    const fs::path file = sparse_file(folder, 256 << 20);
    const std::system_error error = network_error([&] { client.send_file(file, "a"); });
    EXPECT_EQ(error.code(), broken_pipe ? std::errc::broken_pipe : std::errc::connection_reset) << error.what();
    EXPECT_NE(std::string(error.what()).find(listener.endpoint().to_string()), std::string::npos) << error.what();
    network_error([&] { client.send_file(file, "a"); });
    network_error([&] { client.finish(); });
  }
  sigset_t set;
  ::sigpending(&set);
  EXPECT_FALSE(::sigismember(&set, SIGPIPE));
  ::pthread_sigmask(SIG_BLOCK, nullptr, &set);
  EXPECT_FALSE(::sigismember(&set, SIGPIPE));
  std::signal(SIGPIPE, handler_before);
}

TEST(UploadClient, a_receiver_that_never_reads_times_out) {
  TemporaryFolder folder;
  PeerListener listener(4096);
  UploadOptions options;
  options.timeout = options.close_timeout = 100ms;
  for (const std::uint64_t size : {256u << 20, 40u << 10}) {  // above all buffers; in ours, but not in the receiver's
    UploadClient client(listener.endpoint(), options);
    const Peer peer = listener.accept();
    const fs::path file = sparse_file(folder, size);
    const std::system_error error = network_error([&] {
      client.send_file(file, "a");
      client.finish();
    });
    EXPECT_EQ(error.code(), std::errc::timed_out) << error.what();
    EXPECT_NE(std::string(error.what()).find("no progress for 100 ms"), std::string::npos) << error.what();
  }
}

TEST(UploadClient, tells_a_receiver_that_stays_from_one_that_closed) {
  TemporaryFolder folder;
  PeerListener listener;
  make_file(folder / "a", "hello");
  UploadOptions options;
  options.close_timeout = 100ms;
  UploadClient client(listener.endpoint(), options);
  Peer peer = listener.accept();
  client.send_file(folder / "a", "a");
  EXPECT_FALSE(client.finish());
  EXPECT_TRUE(peer.receive_all().ends_with("hello"));

  UploadClient another(listener.endpoint());
  Peer closing = listener.accept();
  another.send_file(folder / "a", "a");
  std::thread receiver([&] {
    closing.receive_all();
    closing.close();
  });
  EXPECT_TRUE(another.finish());
  receiver.join();
}

TEST(UploadClient, close_timeout_counts_from_the_last_byte) {
  TemporaryFolder folder;
  PeerListener listener(4096);
  UploadOptions options;
  options.timeout = patience;
  options.close_timeout = 100ms;
  UploadClient client(listener.endpoint(), options);
  Peer peer = listener.accept();
  std::string got;
  client.send_file(sparse_file(folder, 40 << 10), "a");
  std::thread receiver([&] { got = peer.receive_all(); });
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(client.finish());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, patience / 2);
  receiver.join();
  EXPECT_GT(got.size(), 40u << 10);
}

TEST(UploadClient, only_regular_files_are_sent) {
  TemporaryFolder folder;
  PeerListener listener;
  UploadClient client(listener.endpoint());
  Peer peer = listener.accept();
  ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);
  for (const fs::path& path : {folder / "fifo", folder.path(), fs::path("/dev/null")}) {
    try {
      client.send_file(path, "a");
      ADD_FAILURE() << path;
    } catch (const std::runtime_error& error) {
      EXPECT_EQ(error.what(), path.string() + ": not a regular file");
    }
  }
  const std::system_error error = network_error([&] { client.send_file(folder / "none", "a"); });
  EXPECT_EQ(error.code(), std::errc::no_such_file_or_directory);
  make_file(folder / "a", "hello");
  client.send_file(folder / "a", "a");  // nothing of those has left
  EXPECT_EQ(peer.receive_some(), encode_head(R"({"file_name": "a", "file_size": 5})") + "hello");
}

TEST(UploadClient, a_file_that_changes_its_size_meanwhile) {
  TemporaryFolder folder;
  PeerListener listener;
  const fs::path path = folder / "a";
  std::uint64_t changed = 0;
  UploadOptions options;
  options.progress = [&](std::uint64_t sent, std::uint64_t) {
    if (sent == 0) fs::resize_file(path, changed);
  };
  make_file(path, some_bytes(1000));
  changed = 2000;
  UploadClient growing(listener.endpoint(), options);
  EXPECT_EQ(growing.send_file(path, "a"), 1000u);
  const std::string head = encode_head(R"({"file_name": "a", "file_size": 1000})");
  EXPECT_EQ(listener.accept().receive_some(), head + some_bytes(1000));

  make_file(path, some_bytes(1000));
  changed = 400;
  UploadClient shrinking(listener.endpoint(), options);
  try {
    shrinking.send_file(path, "a");
    ADD_FAILURE();
  } catch (const std::runtime_error& error) {
    EXPECT_EQ(error.what(), path.string() + ": became shorter while it was sent, 400 of 1000 bytes");
  }
}

TEST(UploadClient, what_the_progress_function_throws_passes_through) {
  TemporaryFolder folder;
  PeerListener listener;
  make_file(folder / "a", "hello");
  UploadOptions options;
  options.progress = [](std::uint64_t sent, std::uint64_t) {
    if (sent > 0) throw 42;
  };
  UploadClient client(listener.endpoint(), options);
  EXPECT_THROW(client.send_file(folder / "a", "a"), int);
  EXPECT_THROW(client.send_file(folder / "a", "\xff"), std::invalid_argument);
}

TEST(UploadClient, names_the_address_that_it_cannot_reach) {
  Endpoint nobody;
  {
    const PeerListener listener;
    nobody = listener.endpoint();
  }
  std::system_error error = network_error([&] { UploadClient client(nobody); });
  EXPECT_EQ(error.code(), std::errc::connection_refused);
  EXPECT_NE(std::string(error.what()).find("cannot connect to " + nobody.to_string()), std::string::npos);
  error = network_error([] { UploadClient client(Endpoint::parse("unix:/nowhere/s")); });
  EXPECT_EQ(error.code(), std::errc::no_such_file_or_directory);

  PeerListener full(0, 0);
  UploadOptions options;
  options.timeout = 100ms;
  std::vector<std::unique_ptr<UploadClient>> clients;
  error = network_error([&] {
    for (int i = 0; i < 10; ++i) clients.push_back(std::make_unique<UploadClient>(full.endpoint(), options));
  });
  EXPECT_EQ(error.code(), std::errc::timed_out);
}

}  // namespace
}  // namespace framecall
