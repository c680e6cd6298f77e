#include "framecall/server.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "framecall/wire/dialect.hpp"
#include "support/peer.hpp"
#include "support/running_server.hpp"
#include "support/temporary_folder.hpp"

namespace framecall::server_test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

std::string upload_head(std::string_view name, std::uint64_t size) {
  return encode_head(upload_header(default_dialect(), name, size));
}

std::string upload(std::string_view name, std::string_view content) {
  return upload_head(name, content.size()).append(content);
}

std::string call(int id) { return encode_head(R"({"id": )" + std::to_string(id) + R"(, "method": "no"})"); }

std::string reply(const std::string& id, std::string_view method = "no") {
  return encode_head(R"({"jsonrpc": "2.0", "id": )" + id + R"(, "error": {"code": -32601, "message": "method \")" +
                     std::string(method) + R"(\" not found"}})");
}

std::string calls(int count) {
  std::string bytes;
  for (int i = 0; i < count; ++i) bytes += call(i);
  return bytes;
}

std::string replies(int count) {
  std::string bytes;
  for (int i = 0; i < count; ++i) bytes += reply(std::to_string(i));
  return bytes;
}

// A whole exchange: the server does not close before it has answered and stored everything.
std::string answer(const Endpoint& endpoint, std::string_view bytes) {
  Peer peer(endpoint);
  peer.send(bytes);
  peer.half_close();
  return peer.receive_all();
}

TEST(Server, stores_what_comes_and_answers_nothing) {
  Running running;
  for (const Endpoint& endpoint : {running.tcp, running.unix_socket}) {
    const std::string big = some_bytes(3 << 20);
    EXPECT_EQ(answer(endpoint, upload("big", big) + upload("empty", "") + upload("a", "first") + upload("a", "last")),
              "");
    EXPECT_EQ(content_of(running.root / "big"), big);
    EXPECT_EQ(content_of(running.root / "empty"), "");
    EXPECT_EQ(content_of(running.root / "a"), "last");
  }
  EXPECT_EQ(running.log.count("stored"), 8u);
  running.end();
  EXPECT_THROW(Peer{running.tcp}, std::system_error);
  EXPECT_FALSE(fs::exists(running.unix_socket.path));
}

TEST(Server, uploads_of_many_threads_are_stored_by_many_loops) {
  for (const Durability durability : {Durability::none, Durability::close}) {
    ServerOptions options;
    options.threads = 4;
    Running running(options, durability);
    std::vector<std::thread> threads;
    const auto content = [](unsigned i, unsigned j) { return some_bytes(j * j * j * 1000, i * 100 + j + 1); };
    const auto name = [](unsigned i, unsigned j) { return std::to_string(i) + "-" + std::to_string(j); };
    for (unsigned i = 0; i < 8; ++i) {
      threads.emplace_back([&, i] {
        for (unsigned j = 0; j < 8; j += 2) {
          EXPECT_EQ(answer(running.tcp, upload(name(i, j), content(i, j)) + upload(name(i, j + 1), content(i, j + 1))),
                    "");
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (unsigned i = 0; i < 8; ++i) {
      for (unsigned j = 0; j < 8; ++j) EXPECT_EQ(content_of(running.root / name(i, j)), content(i, j));
    }
    EXPECT_TRUE(parts_in(running.root.path()).empty());
    running.end();
  }
}

TEST(Server, draining_finishes_what_is_under_way_and_closes_the_idle_at_once) {
  Running running;
  Peer idle(running.tcp), another(running.unix_socket), sending(running.tcp), calling(running.tcp);
  const std::string bytes = upload("a", some_bytes(1 << 20));
  sending.send(bytes.substr(0, bytes.size() / 2));
  calling.send(call(1));
  running.server->drain();
  running.server->drain();
  EXPECT_EQ(idle.receive_all(), "");
  EXPECT_EQ(another.receive_all(), "");
  EXPECT_NE(calling.receive_all().find(R"("id": 1, "error")"), std::string::npos);
  EXPECT_FALSE(fs::exists(running.root / "a"));
  sending.send(bytes.substr(bytes.size() / 2));
  EXPECT_EQ(sending.receive_all(), "");
  running.server->wait();
  EXPECT_EQ(content_of(running.root / "a"), some_bytes(1 << 20));
  EXPECT_EQ(running.log.count("drain_timeout"), 0u);
}

TEST(Server, draining_ends_after_drain_timeout) {
  ServerOptions options;
  options.drain_timeout = 50ms;
  Running running(options);
  std::vector<Peer> peers;
  for (int i = 0; i < 4; ++i) peers.emplace_back(running.tcp).send(upload_head("a", 100000) + "half");
  running.server->drain();
  running.server->wait();
  EXPECT_EQ(running.log.count("drain_timeout: closing 4 connections"), 1u);
  running.server.reset();
  for (Peer& peer : peers) EXPECT_EQ(peer.receive_all(), "");
  EXPECT_FALSE(fs::exists(running.root / "a"));
  EXPECT_TRUE(parts_in(running.root.path()).empty());
}

TEST(Server, draining_may_end_on_one_loop_before_it_times_out_on_another) {
  ServerOptions options;
  options.drain_timeout = 600ms;  // longer than a server waits for the next call of `idle`
  Running running(options);
  Peer idle(running.tcp), hanging(running.tcp);  // one on each loop
  idle.send(call(1));
  hanging.send(call(2) + upload_head("a", 100000));
  EXPECT_EQ(idle.receive(reply("1").size()), reply("1"));
  EXPECT_EQ(hanging.receive(reply("2").size()), reply("2"));
  running.server->drain();
  EXPECT_EQ(idle.receive_all(), "");
  running.server->wait();
  running.server.reset();
  EXPECT_EQ(hanging.receive_all(), "");
}

TEST(Server, stops_at_once_whatever_is_under_way) {
  Running running;
  Peer idle(running.tcp), sending(running.tcp), waiting(running.tcp);
  sending.send(upload_head("a", 100) + "half");
  waiting.send(call(1));
  EXPECT_EQ(waiting.receive(reply("1").size()), reply("1"));
  running.server->stop();
  running.server->stop();
  std::thread other([&] { running.server->wait(); });
  running.server->wait();
  other.join();
  running.server.reset();
  EXPECT_EQ(waiting.receive_all(), "");
  EXPECT_FALSE(fs::exists(running.root / "a"));
  EXPECT_TRUE(parts_in(running.root.path()).empty());
}

TEST(Server, closes_even_connections_that_it_just_took) {
  for (int i = 0; i < 20; ++i) {
    Running running;
    std::vector<Peer> peers;
    for (int j = 0; j < 10; ++j) peers.emplace_back(running.tcp);
    running.server.reset();
    for (Peer& peer : peers) {
      try {
        EXPECT_EQ(peer.receive_all(), "");
      } catch (const std::system_error& error) {
        EXPECT_EQ(error.code(), std::errc::connection_reset);  // never taken
      }
    }
  }
}

TEST(Server, may_end_without_having_begun) {
  Server server{ServerOptions{}};
  server.listen(Endpoint::parse("127.0.0.1:0"));
  server.drain();
  server.wait();
}

TEST(Server, ends_with_grace_on_a_signal_and_at_once_on_the_second) {
  TemporaryFolder root;
  ServerOptions options;
  options.files = std::make_shared<FileStore>(root.path());
  Server server(options);
  const Endpoint endpoint = server.listen(Endpoint::parse("127.0.0.1:0"));
  std::thread running([&] { server.run(); });
  Peer idle(endpoint), sending(endpoint);
  idle.send(call(1));
  EXPECT_EQ(idle.receive(reply("1").size()), reply("1"));
  sending.send(call(2) + upload_head("a", 100));
  EXPECT_EQ(sending.receive(reply("2").size()), reply("2"));
  ::kill(::getpid(), SIGTERM);
  EXPECT_EQ(idle.receive_all(), "");
  ::kill(::getpid(), SIGINT);
  running.join();
  EXPECT_FALSE(fs::exists(root / "a"));
}

// A program that a handler starts inherits the signals that its thread blocks: `kill` would not end it.
TEST(Server, blocks_no_signal_where_handlers_run) {
  const auto blocked = [] {
    sigset_t mask;
    ::pthread_sigmask(SIG_BLOCK, nullptr, &mask);
    std::string numbers;
    for (int number = 1; number < 32; ++number) {
      if (::sigismember(&mask, number) == 1) numbers += std::to_string(number) + " ";
    }
    return numbers;
  };
  auto router = std::make_shared<Router>();
  router->on("loop", [&] { return blocked(); });
  router->on_pool("pool", [&] { return blocked(); });
  router->on_stream("stream", [&](Request&, Stream&) { return Response(Json(blocked())); });
  ServerOptions options;
  options.router = router;
  Running server(std::move(options));
  Peer peer(server.tcp);
  for (const std::string method : {"loop", "pool", "stream"}) {
    peer.send(encode_head(R"({"id": 1, "method": ")" + method + "\"}"));
    const std::string answer = encode_head(R"({"jsonrpc": "2.0", "id": 1, "result": ")" + blocked() + "\"}");
    EXPECT_EQ(peer.receive(answer.size()), answer) << method;
  }
}

TEST(Server, listens_where_it_is_told_or_says_why_not) {
  TemporaryFolder folder;
  Server server{ServerOptions{}};
  const Endpoint tcp = server.listen(Endpoint::parse("127.0.0.1:0"));
  EXPECT_EQ(tcp.host, "127.0.0.1");
  EXPECT_NE(tcp.port, 0);
  EXPECT_EQ(server.listen(Endpoint::parse("localhost:0")).host, "localhost");
  EXPECT_THROW(server.listen(tcp), std::system_error);
  EXPECT_THROW(server.listen(Endpoint::parse("no-such-host.invalid:0")), std::system_error);

  const Endpoint un = Endpoint::parse("unix:" + (folder / "s").string());
  EXPECT_EQ(server.listen(un).to_string(), un.to_string());
  Server second{ServerOptions{}};
  EXPECT_THROW(second.listen(un), std::system_error);  // somebody lives there
  make_file(folder / "file", "kept");
  EXPECT_THROW(second.listen(Endpoint::parse("unix:" + (folder / "file").string())), std::system_error);
  EXPECT_EQ(content_of(folder / "file"), "kept");
}

TEST(Server, a_dead_unix_socket_is_not_in_the_way) {
  TemporaryFolder folder;
  const Endpoint endpoint = Endpoint::parse("unix:" + (folder / "s").string());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  endpoint.path.copy(address.sun_path, sizeof address.sun_path - 1);
  Peer dead(::socket(AF_UNIX, SOCK_STREAM, 0));
  ASSERT_EQ(::bind(dead.socket(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  dead.close();
  Server server{ServerOptions{}};
  server.listen(endpoint);
  server.start();
  EXPECT_EQ(answer(endpoint, call(1)), reply("1"));
}

TEST(Server, an_unknown_method_is_answered_and_the_connection_goes_on) {
  Running running;
  std::string bytes, expected;
  const auto add = [&](const std::string& header, const std::string& answered = {}) {
    bytes += encode_head(header);
    expected += answered;
  };
  add(R"({"jsonrpc": "2.0", "id": 1, "method": "add", "params": [1, 2]})", reply("1", "add"));
  add(R"({"id": "a\u4f60", "method": "\u001b"})", reply(R"("a\u4f60")", R"(\\x1b)"));
  add(R"({"method": "notice"})");
  add(R"({"id": -0, "method": "no"})", reply("-0"));
  add(R"({"id": 2, "method": "no", "body_size": 200000})", reply("2"));
  bytes += std::string(200000, 'b');
  bytes += upload("a", "content");
  add(R"({"id": 123456789012345678901234567890, "method": "no"})", reply("123456789012345678901234567890"));
  EXPECT_EQ(answer(running.tcp, bytes), expected);
  EXPECT_EQ(content_of(running.root / "a"), "content");
}

TEST(Server, a_refused_sender_can_read_why) {
  ServerOptions options;
  options.max_file = 1 << 20;
  Running running(options);
  fs::create_directory(running.root / "folder");
  struct Case {
    std::string head, code, text;
  };
  const Case cases[] = {
      {upload_head("../a", 8 << 20), "-32602", "it must be one plain name"},
      {upload_head("folder", 1 << 20), "-32049", "Is a directory"},
      {upload_head("big", (1 << 20) + 1), "-32048",
       R"("data": {"status": "RESOURCE_EXHAUSTED", "limit": 1048576, "got": 1048577})"},
      {encode_head(R"({"file_name": 1, "file_size": 1})"), "-32602", "the file name is not a string: 1"},
      {encode_head(R"({"file_name": "a", "file_size": -1})"), "-32600", ""},
      {encode_head(R"({"name": "a"})"), "-32600", "its keys: name"},
      {encode_head(R"({"id": [1], "method": "no"})"), "-32600", "the id is neither"},
      {encode_head("[]"), "-32600", ""},
      {encode_head("{'a': 1}"), "-32700", ""},
      {std::string("\xff\xff\xff\x7f", 4), "-32600", ""},
      {"GET / HTTP/1.1\r\n\r\n", "-32600", ""},
  };
  for (const Case& one : cases) {
    Peer peer(running.tcp);
    peer.send(one.head);
    peer.send(std::string(8 << 20, 'x'));  // more than all buffers hold
    const std::string said = peer.receive_all();
    EXPECT_NE(said.find(R"({"jsonrpc": "2.0", "id": null, "error": {"code": )" + one.code), std::string::npos) << said;
    EXPECT_NE(said.find(one.text), std::string::npos) << said;
  }
  EXPECT_EQ(running.log.count("refused: "), std::size(cases));
  EXPECT_TRUE(parts_in(running.root.path()).empty());

  Server without_files{ServerOptions{}};
  const Endpoint endpoint = without_files.listen(Endpoint::parse("127.0.0.1:0"));
  without_files.start();
  EXPECT_NE(answer(endpoint, upload("a", "a")).find("-32049"), std::string::npos);
}

TEST(Server, a_refused_sender_that_goes_on_is_closed) {
  ServerOptions options;
  options.refusal_bytes = 1 << 20;
  options.refusal_timeout = 50ms;
  Running running(options);
  Peer endless(running.tcp), silent(running.tcp);
  endless.send(upload_head("..", 1 << 30));
  EXPECT_THROW(endless.send(std::string(64 << 20, 'x')), std::system_error);
  silent.send(upload_head("..", 1 << 30));
  EXPECT_NE(silent.receive_all(), "");
  int more = 0;  // its own direction is open until the server gives up, after refusal_timeout
  while (!silent.wait_for(0, 10ms) && more++ < 1000) silent.send(" ");
  EXPECT_LT(more, 1000);
}

TEST(Server, one_connection_too_many_is_told_so) {
  ServerOptions options;
  options.max_connections = 1;
  Running running(options);
  Peer first(running.tcp);
  first.send(call(1));
  EXPECT_EQ(first.receive(reply("1").size()), reply("1"));
  const std::string said = answer(running.tcp, "");
  EXPECT_NE(said.find("-32048"), std::string::npos) << said;
  EXPECT_NE(said.find("max_connections is 1"), std::string::npos) << said;
  first.send(call(2));
  EXPECT_EQ(first.receive(reply("2").size()), reply("2"));
}

TEST(Server, a_head_must_be_complete_within_header_timeout) {
  ServerOptions options;
  options.header_timeout = 100ms;
  Running running(options);
  Peer idle(running.tcp), slow(running.tcp);
  slow.send(std::string("\xff\xff\x0f\x00{", 5));  // announces 1 MiB
  int more = 0;
  while (!slow.wait_for(POLLIN, 10ms) && more++ < 1000) slow.send(" ");  // bytes that come do not help
  EXPECT_LT(more, 1000);
  EXPECT_TRUE(running.log.wait_for("a head was not complete within header_timeout"));
  idle.send(call(1));
  EXPECT_EQ(idle.receive(reply("1").size()), reply("1"));
  EXPECT_EQ(running.log.count("closed: "), 1u);
}

TEST(Server, a_connection_without_progress_is_closed_after_idle_timeout) {
  ServerOptions options;
  options.idle_timeout = 100ms;
  Running running(options);
  Peer between(running.tcp), inside(running.tcp), not_reading(running.unix_socket);
  inside.send(upload_head("a", 100000) + "half");
  not_reading.send_until_stuck(calls(20000), 100ms);
  EXPECT_EQ(between.receive_all(), "");
  EXPECT_EQ(inside.receive_all(), "");
  EXPECT_TRUE(running.log.wait_for("closed: no progress for idle_timeout", 3));
  EXPECT_EQ(running.log.count(R"(idle_timeout, 99996 bytes before the end of "a")"), 1u);
  EXPECT_TRUE(parts_in(running.root.path()).empty());
}

TEST(Server, a_peer_that_reads_late_gets_every_reply_and_costs_little) {
  Running running;
  const int count = 100000;
  const std::string bytes = calls(count);
  Peer peer(running.unix_socket);  // its buffers do not grow
  const std::size_t sent = peer.send_until_stuck(bytes, 200ms);
  EXPECT_LT(sent / call(10000).size() * reply("10000").size(), 6u << 20);  // 1 MiB unsent, and what the buffers hold
  std::thread writer([&] {
    peer.send(std::string_view(bytes).substr(sent));
    peer.half_close();
  });
  const std::string said = peer.receive_all();
  writer.join();
  EXPECT_TRUE(said == replies(count)) << said.size();
}

TEST(Server, replies_still_arrive_after_the_end_of_the_calls) {
  Running running;
  const int count = 6000;  // replies for more than the socket's buffer and less than 1 MiB
  for (const bool refused_at_the_end : {false, true}) {
    Peer peer(running.unix_socket);
    peer.send(calls(count) + (refused_at_the_end ? encode_head("[]") : ""));
    peer.half_close();
    ASSERT_TRUE(peer.wait_for(POLLIN, patience));
    const std::string said = peer.receive_all();
    EXPECT_TRUE(said.starts_with(replies(count))) << said.size();
    EXPECT_EQ(said.find("-32600") != std::string::npos, refused_at_the_end);
  }
}

TEST(Server, draining_waits_for_a_peer_that_reads_late) {
  Running running;
  Peer peer(running.unix_socket);
  const std::string bytes = calls(30000);
  const std::size_t sent = peer.send_until_stuck(bytes, 200ms);
  ASSERT_LT(sent, bytes.size());
  running.server->drain();
  std::thread writer([&] { peer.send(std::string_view(bytes).substr(sent)); });
  std::string said = peer.receive_all();
  writer.join();
  // From the drain on every reply asks for another connection.
  const std::string hint = R"(, "metadata": {"connection": "close"})";
  EXPECT_TRUE(said.ends_with(hint + "}"));
  Decoder decoder;
  Header header;
  decoder.feed(said);
  std::string plain;
  for (auto event = decoder.next_event(header); event != Decoder::Event::need_data;
       event = decoder.next_event(header)) {
    std::string text(header.text());
    if (text.ends_with(hint + "}")) text.replace(text.size() - hint.size() - 1, hint.size(), "");
    if (event == Decoder::Event::header_received) plain += encode_head(text);
  }
  EXPECT_TRUE(plain == replies(30000));
  running.server->wait();
}

TEST(Server, a_peer_that_goes_away_costs_one_line) {
  Running running;
  Peer sending(running.tcp), resetting(running.tcp), calling(running.unix_socket);
  sending.send(upload_head("a", 100) + "half");
  sending.close();
  EXPECT_TRUE(running.log.wait_for("the peer went away, 96 bytes before the end of \"a\""));
  resetting.send(call(1) + upload_head("b", 100) + "half");
  EXPECT_EQ(resetting.receive(reply("1").size()), reply("1"));
  resetting.reset();
  EXPECT_TRUE(running.log.wait_for("the peer went away (Connection reset by peer), 96 bytes before"));
  calling.send_until_stuck(calls(30000), 100ms);
  calling.close();
  EXPECT_TRUE(running.log.wait_for("the peer went away", 3));
  EXPECT_EQ(answer(running.unix_socket, call(1)), reply("1"));
  running.end();
  EXPECT_EQ(running.log.count("the peer went away"), 3u);
  EXPECT_TRUE(parts_in(running.root.path()).empty());
}

TEST(Server, a_peer_that_was_gone_before_it_was_read_costs_one_line) {
  TemporaryFolder folder;
  Log log;
  ServerOptions options;
  options.threads = 1;
  options.log = [&log](LogLevel, std::string_view line) { log.add(line); };
  Server server(options);
  const Endpoint endpoint = server.listen(Endpoint::parse("unix:" + (folder / "s").string()));
  Peer gone(endpoint);
  gone.send(calls(1000));
  gone.close();
  server.start();
  EXPECT_EQ(answer(endpoint, call(1)), reply("1"));
  EXPECT_EQ(log.count("the peer went away"), 1u);
}

}  // namespace
}  // namespace framecall::server_test
