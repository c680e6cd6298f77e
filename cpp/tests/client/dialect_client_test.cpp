#include "framecall/dialect_client.hpp"

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

#include "framecall/detail/file_store.hpp"
#include "framecall/error.hpp"
#include "framecall/server.hpp"
#include "framecall/wire/dialect.hpp"
#include "framecall/wire/json.hpp"
#include "support/peer.hpp"
#include "support/script.hpp"
#include "support/temporary_folder.hpp"

namespace framecall::dialect_client_test {
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

TEST(DialectClient, sends_exactly_what_is_taught) {
  TemporaryFolder folder;
  PeerListener listener;
  const std::string content = some_bytes(5'000'000);
  make_file(folder / "big", content);
  make_file(folder / "small", "hello\n");
  make_file(folder / "empty", "");
  std::vector<std::uint64_t> steps;
  DialectOptions options;
  options.progress = [&](std::uint64_t sent, std::uint64_t size) {
    EXPECT_LE(sent, size);
    steps.push_back(sent);
  };
  DialectClient client(listener.endpoint(), options);
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

TEST(DialectClient, prefix_header_and_small_body_are_one_segment) {
  TemporaryFolder folder;
  PeerListener listener;
  for (const std::string content : {"", "x", "hello\n"}) {
    make_file(folder / "a", content);
    DialectClient client(listener.endpoint());
    Peer peer = listener.accept();
    client.send_file(folder / "a", "a");
    const std::string expected = encode_head(upload_header(default_dialect(), "a", content.size())) + content;
    EXPECT_EQ(peer.receive_some(), expected);
    EXPECT_EQ(segments_received(peer), 1u);
  }
}

TEST(DialectClient, spells_the_header_as_its_dialect_does) {
  TemporaryFolder folder;
  PeerListener listener;
  make_file(folder / "a", "a");
  DialectOptions options;
  options.dialect.size_keys = {"file_siz"};
  DialectClient client(listener.endpoint(), options);
  Peer peer = listener.accept();
  client.send_file(folder / "a", "a");
  EXPECT_EQ(peer.receive_some(), encode_head(R"({"file_name": "a", "file_siz": 1})") + "a");
}

TEST(DialectClient, fills_the_folder_of_a_server) {
  TemporaryFolder folder, root;
  ServerOptions server_options;
  server_options.files = std::make_shared<FileStore>(root.path());
  Server server(server_options);
  const Endpoint tcp = server.listen(Endpoint::parse("127.0.0.1:0"));
  const Endpoint un = server.listen(Endpoint::parse("unix:" + (folder / "s").string()));
  server.start();
  const std::string content = some_bytes(20 << 20);
  make_file(folder / "big", content);
  for (const Endpoint& endpoint : {tcp, un}) {
    DialectClient client(endpoint);
    client.send_file(folder / "big", "big" + std::to_string(endpoint.port));
    EXPECT_TRUE(client.finish());
    EXPECT_TRUE(content_of(root / ("big" + std::to_string(endpoint.port))) == content);
    DialectClient refused(endpoint);
    try {
      refused.send_file(folder / "big", "..");
      refused.finish();
      ADD_FAILURE();
    } catch (const RemoteError& error) {
      EXPECT_EQ(error.code(), static_cast<int>(ErrorCode::invalid_params));
    }
  }
}

TEST(DialectClient, a_refusal_is_thrown_wherever_it_arrives) {
  TemporaryFolder folder;
  PeerListener listener;
  make_file(folder / "small", "hello");
  for (const std::string when : {"while sending", "at the end", "before a reset", "behind other words"}) {
    std::optional<Peer> peer;
    DialectOptions options;
    options.progress = [&](std::uint64_t sent, std::uint64_t) {
      if (when == "at the end" || when == "behind other words" || sent == 0 || !peer) return;
      peer->send(refusal);
      if (when == "before a reset") peer.reset();  // with unread bytes: a reset
    };
    DialectClient client(listener.endpoint(), options);
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

TEST(DialectClient, other_words_of_a_receiver_are_not_for_us) {
  TemporaryFolder folder;
  PeerListener listener;
  make_file(folder / "a", "hello");
  for (const std::string& words :
       {"OK\n"s, encode_head(R"({"status": "ok"})"), encode_head(R"({"error": null})"), "\2"s}) {
    DialectClient client(listener.endpoint());
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

TEST(DialectClient, a_reset_is_an_error_and_no_signal) {
  TemporaryFolder folder;
  const auto handler_before = std::signal(SIGPIPE, SIG_DFL);  // which would end this program
  for (const bool broken_pipe : {false, true}) {
    PeerListener listener;
    std::optional<Peer> peer;
    DialectOptions options;
    options.progress = [&](std::uint64_t sent, std::uint64_t) {
      if (sent == 0 || !peer) return;
      if (broken_pipe) peer->half_close();
      peer->reset();
      peer.reset();
    };
    DialectClient client(listener.endpoint(), options);
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

TEST(DialectClient, a_receiver_that_never_reads_times_out) {
  TemporaryFolder folder;
  PeerListener listener(4096);
  DialectOptions options;
  options.timeout = options.close_timeout = 100ms;
  for (const std::uint64_t size : {256u << 20, 40u << 10}) {  // above all buffers; in ours, but not in the receiver's
    DialectClient client(listener.endpoint(), options);
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

TEST(DialectClient, tells_a_receiver_that_stays_from_one_that_closed) {
  TemporaryFolder folder;
  PeerListener listener;
  make_file(folder / "a", "hello");
  DialectOptions options;
  options.close_timeout = 100ms;
  DialectClient client(listener.endpoint(), options);
  Peer peer = listener.accept();
  client.send_file(folder / "a", "a");
  EXPECT_FALSE(client.finish());
  EXPECT_TRUE(peer.receive_all().ends_with("hello"));

  DialectClient another(listener.endpoint());
  Peer closing = listener.accept();
  another.send_file(folder / "a", "a");
  std::thread receiver([&] {
    closing.receive_all();
    closing.close();
  });
  EXPECT_TRUE(another.finish());
  receiver.join();
}

TEST(DialectClient, close_timeout_counts_from_the_last_byte) {
  TemporaryFolder folder;
  PeerListener listener(4096);
  DialectOptions options;
  options.timeout = patience;
  options.close_timeout = 100ms;
  DialectClient client(listener.endpoint(), options);
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

TEST(DialectClient, only_regular_files_are_sent) {
  TemporaryFolder folder;
  PeerListener listener;
  DialectClient client(listener.endpoint());
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

TEST(DialectClient, a_file_that_changes_its_size_meanwhile) {
  TemporaryFolder folder;
  PeerListener listener;
  const fs::path path = folder / "a";
  std::uint64_t changed = 0;
  DialectOptions options;
  options.progress = [&](std::uint64_t sent, std::uint64_t) {
    if (sent == 0) fs::resize_file(path, changed);
  };
  make_file(path, some_bytes(1000));
  changed = 2000;
  DialectClient growing(listener.endpoint(), options);
  EXPECT_EQ(growing.send_file(path, "a"), 1000u);
  const std::string head = encode_head(R"({"file_name": "a", "file_size": 1000})");
  EXPECT_EQ(listener.accept().receive_some(), head + some_bytes(1000));

  make_file(path, some_bytes(1000));
  changed = 400;
  DialectClient shrinking(listener.endpoint(), options);
  try {
    shrinking.send_file(path, "a");
    ADD_FAILURE();
  } catch (const std::runtime_error& error) {
    EXPECT_EQ(error.what(), path.string() + ": became shorter while it was sent, 400 of 1000 bytes");
  }
}

TEST(DialectClient, what_the_progress_function_throws_passes_through) {
  TemporaryFolder folder;
  PeerListener listener;
  make_file(folder / "a", "hello");
  DialectOptions options;
  options.progress = [](std::uint64_t sent, std::uint64_t) {
    if (sent > 0) throw 42;
  };
  DialectClient client(listener.endpoint(), options);
  EXPECT_THROW(client.send_file(folder / "a", "a"), int);
  EXPECT_THROW(client.send_file(folder / "a", "\xff"), std::invalid_argument);
}

TEST(DialectClient, names_the_address_that_it_cannot_reach) {
  Endpoint nobody;
  {
    const PeerListener listener;
    nobody = listener.endpoint();
  }
  std::system_error error = network_error([&] { DialectClient client(nobody); });
  EXPECT_EQ(error.code(), std::errc::connection_refused);
  EXPECT_NE(std::string(error.what()).find("cannot connect to " + nobody.to_string()), std::string::npos);
  error = network_error([] { DialectClient client(Endpoint::parse("unix:/nowhere/s")); });
  EXPECT_EQ(error.code(), std::errc::no_such_file_or_directory);

  PeerListener full(0, 0);
  DialectOptions options;
  options.timeout = 100ms;
  std::vector<std::unique_ptr<DialectClient>> clients;
  error = network_error([&] {
    for (int i = 0; i < 10; ++i) clients.push_back(std::make_unique<DialectClient>(full.endpoint(), options));
  });
  EXPECT_EQ(error.code(), std::errc::timed_out);
}

// --- Uploads in relatives of the taught format

const std::string hello_md5 = "5d41402abc4b2a76b9719d911017c592";

DialectOptions with(const Dialect& dialect) {
  DialectOptions options;
  options.dialect = dialect;
  return options;
}

// All that a receiver gets of a file `hello`, which it answers with nothing.
std::string uploaded(const Dialect& dialect, std::string_view name, std::vector<std::string>* warnings = nullptr) {
  TemporaryFolder folder;
  make_file(folder / "file", "hello");
  std::string got;
  Script script([&](Peer& peer) { got = peer.receive_all(); });
  DialectOptions options = with(dialect);
  options.warning = [&](std::string_view message) {
    if (warnings != nullptr) warnings->emplace_back(message);
  };
  DialectClient client(script.endpoint(), options);
  EXPECT_EQ(client.send_file(folder / "file", name), 5u);
  EXPECT_TRUE(client.finish());
  script.join();
  return got;
}

TEST(DialectClient, an_upload_begins_as_the_dialect_says) {
  Dialect dialect = script_dialect();
  dialect.extra_members = R"("md5": "xxdxxx")";
  const std::string header = R"({"filename": "a.txt", "filesize": 5, "md5": "xxdxxx"})";
  EXPECT_EQ(uploaded(dialect, "a.txt"), encode_head(header) + "hello");
  dialect.upload_form = Dialect::UploadForm::operation;
  EXPECT_EQ(uploaded(dialect, "a.txt"), encode_head(R"({"cmd": "put", )" + header.substr(1)) + "hello");
  dialect.upload_form = Dialect::UploadForm::line;
  EXPECT_EQ(uploaded(dialect, "a.txt"), "put a.txt" + encode_head(header) + "hello");

  for (const auto& [kind, order, width, prefix] :
       {std::tuple(PrefixFormat::Kind::binary, PrefixFormat::Order::big, 4, "\0\0\0\x35"s),
        std::tuple(PrefixFormat::Kind::binary, PrefixFormat::Order::big, 8, "\0\0\0\0\0\0\0\x35"s),
        std::tuple(PrefixFormat::Kind::decimal, PrefixFormat::Order::little, 6, "000053"s)}) {
    dialect.upload_form = Dialect::UploadForm::header;
    dialect.prefixes.front().kind = kind;
    dialect.prefixes.front().order = order;
    dialect.prefixes.front().width = static_cast<std::uint8_t>(width);
    EXPECT_EQ(uploaded(dialect, "a.txt"), prefix + header + "hello");
  }
}

TEST(DialectClient, a_pause_is_between_a_raw_line_and_a_frame) {
  TemporaryFolder folder;
  make_file(folder / "file", "hello");
  PeerListener listener;
  Dialect dialect = script_dialect();
  dialect.upload_form = Dialect::UploadForm::line;
  dialect.pause_ms = 200;
  DialectClient client(listener.endpoint(), with(dialect));
  Peer peer = listener.accept();
  const auto begin = std::chrono::steady_clock::now();
  client.send_file(folder / "file", "b.txt");
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 200ms);
  const std::string expected = "put b.txt" + encode_head(R"({"filename": "b.txt", "filesize": 5})") + "hello";
  EXPECT_EQ(peer.receive(expected.size()), expected);
  EXPECT_EQ(segments_received(peer), 2u);  // the line, and all the rest
}

TEST(DialectClient, names_that_a_raw_line_cannot_say) {
  TemporaryFolder folder;
  make_file(folder / "file", "hello");
  Dialect dialect = script_dialect();
  dialect.upload_form = Dialect::UploadForm::line;
  PeerListener listener;
  DialectClient client(listener.endpoint(), with(dialect));
  EXPECT_EQ(failure([&] { client.send_file(folder / "file", "a\nget b"); }),
            "argument: file name \"a\\x0aget b\": a raw line has no room for control characters");
  EXPECT_TRUE(client.usable());
  dialect.words.clear();
  DialectClient wordless(listener.endpoint(), with(dialect));
  EXPECT_EQ(failure([&] { wordless.send_file(folder / "file", "a"); }),
            "argument: the dialect \"scripts\" has no word for an upload");
  EXPECT_TRUE(wordless.usable());
}

TEST(DialectClient, the_body_waits_for_its_answer) {
  TemporaryFolder folder;
  make_file(folder / "file", "hello");
  const std::string head = encode_head(R"({"filename": "a", "filesize": 5})");
  const struct {
    Answer expected;
    std::string said, failure;
  } rows[] = {
      {frame_answer(R"({"status": 200})"), encode_head(R"({"status": 200, "filesize": 5, "more": []})"), "nothing"},
      {frame_answer(R"({"status": 200, "name": "$name"})"), encode_head(R"({"name": "b", "status": 200})"), "nothing"},
      {text_answer("OK"), "OK", "nothing"},
      {text_answer("200 ok"), "200 ok\r\n", "nothing"},
      {text_answer("2"), "2", "nothing"},
      {frame_answer(R"({"status": 200})"), encode_head(R"({"status": 403, "msg": "full"})"),
       R"(: expected {"status": 200}, received {"status": 403, "msg": "full"})"},
      {frame_answer(R"({"status": 200})"), "no\x1b!\n",
       R"(: expected {"status": 200}, received the text "no\x1b!\x0a")"},
      {text_answer("OK"), encode_head(R"({"status": 200})"), R"(: expected the text "OK", received {"status": 200})"},
      {text_answer("OK"), "O", R"(: expected the text "OK", received the text "O")"},
      {text_answer("OK"), "", R"(: expected the text "OK", the peer closed the connection)"},
  };
  for (const auto& row : rows) {
    std::string got;
    Script script([&](Peer& peer) {
      got = peer.receive(head.size());
      peer.send(row.said);
      if (row.failure != "nothing") peer.half_close();
      got += peer.receive_all();
    });
    Dialect dialect = script_dialect();
    dialect.before_body = row.expected;
    const std::string expected =
        row.failure == "nothing" ? row.failure : "remote -32047: the answer before the body of \"a\"" + row.failure;
    {
      DialectClient client(script.endpoint(), with(dialect));
      EXPECT_EQ(failure([&] { client.send_file(folder / "file", "a"); }), expected);
      EXPECT_EQ(client.usable(), row.failure == "nothing");
    }
    script.join();
    EXPECT_EQ(got, row.failure == "nothing" ? head + "hello" : head) << row.said;
  }
}

TEST(DialectClient, an_answer_behind_the_body_is_waited_for) {
  TemporaryFolder folder;
  make_file(folder / "file", "hello");
  const std::size_t size = encode_head(R"({"filename": "a", "filesize": 5})").size() + 5;
  for (const std::string said : {"200", "500", ""}) {
    Script script([&](Peer& peer) {
      peer.receive(size);
      peer.send(said);
      if (said.empty()) peer.half_close();
      peer.receive_all();
    });
    Dialect dialect = script_dialect();
    dialect.after_body = text_answer("200");
    DialectClient client(script.endpoint(), with(dialect));
    const std::string expected = "remote -32050: the answer behind the body of \"a\": expected the text \"200\", ";
    EXPECT_EQ(failure([&] { client.send_file(folder / "file", "a"); }),
              said == "200"  ? "nothing"
              : said.empty() ? expected + "the peer closed the connection"
                             : expected + "received the text \"500\"");
    EXPECT_EQ(client.usable(), said == "200");
  }
}

TEST(DialectClient, several_files_with_answers_over_one_connection) {
  TemporaryFolder folder;
  make_file(folder / "file", "hello");
  const std::string head = encode_head(R"({"filename": "a", "filesize": 5})");
  Script script([&](Peer& peer) {
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(peer.receive(head.size()), head);
      peer.send("ready");
      EXPECT_EQ(peer.receive(5), "hello");
      peer.send(encode_head(R"({"stored": true})"));
    }
    EXPECT_EQ(peer.receive_all(), "");
  });
  Dialect dialect = script_dialect();
  dialect.before_body = text_answer("ready");
  dialect.after_body = frame_answer(R"({"stored": true})");
  DialectClient client(script.endpoint(), with(dialect));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.send_file(folder / "file", "a"), 5u);
}

TEST(DialectClient, an_answer_that_comes_early_is_kept) {
  TemporaryFolder folder;
  const fs::path file = sparse_file(folder, 64 << 20);  // more than all buffers hold
  for (const bool good : {true, false}) {
    Script script([&](Peer& peer) {
      peer.receive(100);
      peer.send(encode_head(good ? R"({"result": true})" : R"({"result": false})"));
      peer.receive_all();
    });
    Dialect dialect = script_dialect();
    dialect.after_body = frame_answer(R"({"result": true})");
    DialectClient client(script.endpoint(), with(dialect));
    EXPECT_EQ(failure([&] { client.send_file(file, "a"); }),
              good ? "nothing"
                   : "remote -32050: the answer behind the body of \"a\": expected {\"result\": true}, "
                     "received {\"result\": false}");
  }
}

TEST(DialectClient, what_was_said_before_a_reset_is_in_the_error) {
  TemporaryFolder folder;
  const fs::path file = sparse_file(folder, 256 << 20);
  Script script([&](Peer& peer) {
    peer.receive(100);
    peer.send("disk full\n");
    peer.reset();
  });
  Dialect dialect = script_dialect();
  dialect.after_body = text_answer("200");
  DialectClient client(script.endpoint(), with(dialect));
  const std::string what = failure([&] { client.send_file(file, "a"); });
  EXPECT_TRUE(what.starts_with("system ")) << what;
  EXPECT_NE(what.find(": the connection was lost; the last that the peer said was disk full\\x0a: "), std::string::npos)
      << what;
}

TEST(DialectClient, garbage_where_an_answer_is_due) {
  TemporaryFolder folder;
  make_file(folder / "file", "hello");
  for (const std::string& garbage :
       {"\1\xff\xff\xff\xff"s, "\0\0\0\0{"s, "\3\0\0\0{}"s, "\4\0\0\0{\"a\""s, "\2\0\0\0"s}) {
    Script script([&](Peer& peer) {
      peer.receive(10);
      peer.send(garbage);
      peer.half_close();
      peer.receive_all();
    });
    Dialect dialect = script_dialect();
    dialect.after_body = frame_answer(R"({"result": true})");
    DialectClient client(script.endpoint(), with(dialect));
    const std::string what = failure([&] { client.send_file(folder / "file", "a"); });
    EXPECT_TRUE(what.starts_with("protocol -32")) << what;
    EXPECT_NE(what.find(script.endpoint().to_string() + ": "), std::string::npos) << what;
    EXPECT_FALSE(client.usable());
  }
}

TEST(DialectClient, an_answer_that_does_not_come) {
  TemporaryFolder folder;
  make_file(folder / "file", "hello");
  for (const std::string said : {"", "\x10", "\x10\1\1"}) {  // nothing, and less than a frame
    PeerListener listener;
    Dialect dialect = script_dialect();
    dialect.before_body = frame_answer(R"({"result": true})");
    DialectOptions options = with(dialect);
    options.timeout = 100ms;
    DialectClient client(listener.endpoint(), options);
    Peer peer = listener.accept();
    peer.send(said);
    EXPECT_EQ(failure([&] { client.send_file(folder / "file", "a"); }),
              "system " + std::to_string(ETIMEDOUT) + ": " + listener.endpoint().to_string() +
                  ": the answer before the body of \"a\" did not come within 100 ms: Connection timed out");
  }
}

TEST(DialectClient, the_checksum_of_a_file) {
  Dialect dialect = script_dialect();
  dialect.checksum_place = Dialect::ChecksumPlace::header;
  EXPECT_EQ(uploaded(dialect, "a"),
            encode_head(R"({"filename": "a", "filesize": 5, "md5": ")" + hello_md5 + R"("})") + "hello");
  dialect.checksum_place = Dialect::ChecksumPlace::trailer;
  EXPECT_EQ(uploaded(dialect, "a"), encode_head(R"({"filename": "a", "filesize": 5})") + "hello" + hello_md5);

  // The one behind the body is no part of its segment.
  TemporaryFolder folder;
  make_file(folder / "file", "hello");
  Script script([&](Peer& peer) {
    EXPECT_TRUE(peer.receive_all().ends_with("hello" + hello_md5));
    EXPECT_EQ(segments_received(peer), 2u);
  });
  DialectClient client(script.endpoint(), with(dialect));
  client.send_file(folder / "file", "a");
  EXPECT_TRUE(client.finish());
}

TEST(DialectClient, a_header_that_is_too_long_for_a_segment) {
  Dialect dialect = script_dialect();
  std::vector<std::string> warnings;
  uploaded(dialect, std::string(1400 - 4 - 31, 'x'), &warnings);
  EXPECT_EQ(warnings, std::vector<std::string>());
  uploaded(dialect, std::string(1400 - 4 - 30, 'x'), &warnings);
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_TRUE(warnings[0].ends_with("has 1397 bytes: a receiver that reads only once for it may not get it whole"))
      << warnings[0];
}

TEST(DialectClient, finish_does_not_trust_a_receiver_that_has_closed_early) {
  TemporaryFolder folder;
  PeerListener listener(4096);
  DialectOptions options;
  options.timeout = 100ms;
  options.close_timeout = patience;
  DialectClient stuck(listener.endpoint(), options);
  Peer idle = listener.accept();
  idle.half_close();
  stuck.send_file(sparse_file(folder, 40 << 10), "a");
  EXPECT_EQ(network_error([&] { stuck.finish(); }).code(), std::errc::timed_out);

  options.timeout = patience;
  DialectClient client(listener.endpoint(), options);
  Peer peer = listener.accept();
  peer.half_close();
  client.send_file(sparse_file(folder, 40 << 10), "a");
  std::size_t got = 0;
  std::thread receiver([&] { got = peer.receive_all().size(); });
  EXPECT_TRUE(client.finish());
  receiver.join();
  EXPECT_GT(got, 40u << 10);

  DialectClient cut(listener.endpoint(), options);
  Peer leaving = listener.accept();
  leaving.half_close();
  cut.send_file(sparse_file(folder, 40 << 10), "a");
  leaving.close();  // with bytes that nobody will read
  network_error([&] { cut.finish(); });
}

}  // namespace
}  // namespace framecall::dialect_client_test
