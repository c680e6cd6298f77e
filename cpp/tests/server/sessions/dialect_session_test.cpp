// What a server says beside calls: raw echo, HTTP, datagrams, and the conversations of dialects.
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "framecall/wire/dialect.hpp"
#include "framecall/wire/digest.hpp"
#include "support/serving.hpp"

namespace framecall::conversation_test {
namespace {

Answer text(std::string content) {
  Answer answer;
  answer.kind = Answer::Kind::text;
  answer.content = std::move(content);
  return answer;
}

Answer frame(std::string content) {
  Answer answer = text(std::move(content));
  answer.kind = Answer::Kind::frame;
  return answer;
}

Answer word(Answer::Kind kind) {
  Answer answer;
  answer.kind = kind;
  return answer;
}

std::string md5(std::string_view content) {
  Digest digest(DigestKind::md5);
  digest.update(content);
  return digest.finish();
}

// Frames and raw lines; get, put, ls, login, quit.
Dialect talkative() {
  Dialect dialect;
  dialect.name = "talkative";
  dialect.operation_keys = {"cmd"};
  dialect.words = {{"put", Operation::upload},  {"get", Operation::download},           {"ls", Operation::list},
                   {"login", Operation::login}, {"register", Operation::register_user}, {"quit", Operation::quit}};
  dialect.lines = true;
  dialect.last_path_part = true;
  dialect.not_found = word(Answer::Kind::zero_size);
  dialect.list = word(Answer::Kind::body);
  return dialect;
}

struct Talking : Running {
  explicit Talking(Dialect dialect, ServerOptions options = {})
      : Running(with(std::move(dialect), std::move(options))) {}
  static ServerOptions with(Dialect dialect, ServerOptions options) {
    options.dialect = std::move(dialect);
    return options;
  }
  std::string talk(std::string_view bytes) {
    Peer peer(tcp);
    peer.send(bytes);
    peer.half_close();
    return peer.receive_all();
  }
  void put(const std::string& name, std::string_view content) {
    std::ofstream(root.path() / name, std::ios::binary) << content;
  }
  std::string stored(const std::string& name) { return content_of(root.path() / name); }
};

std::string upload(std::string_view name, std::string_view content) {
  return encode_head(file_header(default_dialect(), name, content.size())).append(content);
}

TEST(Echo, and_frames_and_http_share_a_port) {
  Running running({}, Durability::none, {true, true, true});
  for (const std::string message : {"hello", "a", "hi", "dir", "G", "GE", "\xe4\xbd\xa0x", "{\"a\": 1}"}) {
    Peer peer(running.tcp);
    std::string upper = message;
    for (char& c : upper) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    for (int i = 0; i < 3; ++i) {  // also what looks like another protocol, once the first bytes have decided
      peer.send(message);
      EXPECT_EQ(peer.receive(message.size()), upper);
    }
    peer.send(upload("not a file", "x"));
    EXPECT_EQ(peer.receive(4), upload("not a file", "x").substr(0, 4));
  }
  Peer uploader(running.tcp);
  for (const char c : upload("a", "content")) uploader.send({&c, 1});
  uploader.half_close();
  EXPECT_EQ(uploader.receive_all(), "");
  EXPECT_TRUE(std::filesystem::exists(running.root.path() / "a"));

  Peer http(running.tcp);
  http.send("GET /healthz HTTP/1.1\r\nHost: x\r\n");
  http.send("\r\n");
  EXPECT_EQ(http.receive_all(),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: 8\r\n\r\nSERVING\n");
  for (const auto& [request, status] : {std::pair{"GET /x HTTP/1.1\r\n\r\n", "404"},
                                        {"POST / HTTP/1.1\r\n\r\n", "405"},
                                        {"GET /healthz\r\n\r\n", "400"},
                                        {"HEAD /healthz HTTP/1.0\r\n\r\n", "200"}}) {
    Peer peer(running.tcp);
    peer.send(request);
    EXPECT_EQ(peer.receive_all().substr(9, 3), status) << request;
  }
  Peer endless(running.tcp);
  endless.send("GET /" + std::string(10000, 'x'));
  EXPECT_EQ(endless.receive_all().substr(9, 3), "431");
}

TEST(Echo, a_handshake_of_TLS_is_closed_with_one_line) {
  Running running({}, Durability::none, {true, true, true});
  Peer peer(running.tcp);
  peer.send({"\x16\x03\x01\x00\xea\x01\x00\x00", 8});
  EXPECT_EQ(peer.receive_all(), "");
  EXPECT_TRUE(running.log.wait_for("TLS"));
}

TEST(Echo, is_not_closed_between_messages_for_being_idle) {
  ServerOptions options;
  options.idle_timeout = std::chrono::milliseconds(30);
  options.header_timeout = std::chrono::milliseconds(30);
  Running running(std::move(options), Durability::none, {false, true, false});
  Peer peer(running.tcp);
  EXPECT_FALSE(peer.wait_for(POLLIN, std::chrono::milliseconds(200)));
  peer.send("hello");
  EXPECT_EQ(peer.receive(5), "HELLO");
}

TEST(Echo, of_much_is_held_back_by_a_reader_that_does_not_read) {
  Running running({}, Durability::none, {false, true, false});
  Peer peer(running.tcp);
  const std::string block(8 << 20, 'a');
  const std::size_t sent = peer.send_until_stuck(std::string(64 << 20, 'a'), std::chrono::milliseconds(200));
  EXPECT_LT(sent, 64u << 20);
  peer.half_close();
  EXPECT_EQ(peer.receive_all(), std::string(sent, 'A'));
}

TEST(Echo, and_raw_lines_exclude_each_other) {
  ServerOptions options;
  options.dialect = talkative();
  Server server(std::move(options));
  EXPECT_THROW(server.listen(Endpoint::parse("127.0.0.1:0"), {true, true, false}), std::invalid_argument);
}

TEST(Uploads, are_answered_before_and_after_the_body) {
  Dialect dialect;
  dialect.before_body = frame(R"({"status": 200, "size": "$size", "for": "$name"})");
  dialect.after_body = text("stored $name");
  Talking server(dialect);
  Peer peer(server.tcp);
  peer.send(encode_head(file_header(dialect, "a", 5)));
  const std::string go_ahead = encode_head(R"({"status": 200, "size": 5, "for": "a"})");
  EXPECT_EQ(peer.receive(go_ahead.size()), go_ahead);
  peer.send("hello");
  EXPECT_EQ(peer.receive(8), "stored a");
  EXPECT_EQ(server.stored("a"), "hello");
}

TEST(Uploads, take_the_last_part_of_a_path) {
  Talking server(talkative());
  for (const std::string name : {"C:\\users\\me\\a.txt", "/etc/b.txt", "..\\c.txt", "./../d.txt"}) {
    EXPECT_EQ(server.talk(upload(name, name)), "");
    EXPECT_EQ(server.stored(name.substr(name.size() - 5)), name);
  }
  EXPECT_NE(server.talk(upload("a/..", "x")), "");
}

TEST(Uploads, are_checked_by_their_digest) {
  const std::string content = "hello", good = md5(content), bad = md5("other");
  for (const auto place : {Dialect::ChecksumPlace::header, Dialect::ChecksumPlace::trailer}) {
    for (const bool reject : {false, true}) {
      Dialect dialect;
      dialect.checksum_keys = {"md5"};
      dialect.checksum_place = place;
      dialect.checksum_check = reject ? Dialect::ChecksumCheck::reject : Dialect::ChecksumCheck::warn;
      Talking server(dialect);
      const auto send = [&](const std::string& name, const std::string& digest) {
        const bool trailer = place == Dialect::ChecksumPlace::trailer;
        return server.talk(encode_head(file_header(dialect, name, 5, digest)) + content + (trailer ? digest : ""));
      };
      EXPECT_EQ(send("good", good), "");
      EXPECT_EQ(server.stored("good"), content);
      EXPECT_EQ(send("bad", bad).find("DATA_LOSS") != std::string::npos, reject);
      EXPECT_EQ(std::filesystem::exists(server.root / "bad"), !reject);
      if (!reject) {
        EXPECT_EQ(server.stored("bad"), content);
      }
      EXPECT_TRUE(server.log.wait_for(reject ? "its checksum differs" : "its MD5 is " + good));
      const std::string fake(place == Dialect::ChecksumPlace::trailer ? 32 : 6, 'x');
      EXPECT_EQ(send("fake", fake), "");
      EXPECT_EQ(server.stored("fake"), content);
      EXPECT_TRUE(server.log.wait_for("is not 32 hexadecimal digits"));
    }
  }
}

TEST(Downloads, are_answered_with_a_header_and_the_file) {
  Dialect dialect = talkative();
  Talking server(dialect);
  const std::string large(5 << 20, 'x');
  server.put("a b.txt", "hello");
  server.put("large", large);
  server.put("empty", "");
  const std::string hello = upload("a b.txt", "hello");
  EXPECT_EQ(server.talk("get a b.txt\n"), hello);
  EXPECT_EQ(server.talk("get a b.txt"), hello);
  EXPECT_EQ(server.talk("  get   a b.txt \r\nget empty\nget large\n"),
            hello + upload("empty", "") + upload("large", large));
  EXPECT_EQ(server.talk(encode_head(R"({"cmd": "get", "file_name": "a b.txt"})")), hello);
  EXPECT_EQ(server.talk(encode_head(R"({"cmd": "get", "filename": "x/a b.txt", "file_size": 99})") + "get large\n"),
            hello + upload("large", large));
  Peer quiet(server.tcp);  // no line feed, and the connection stays open
  quiet.send("get a b.txt");
  EXPECT_EQ(quiet.receive(hello.size()), hello);
  quiet.send(upload("new", "file") + "get new");
  EXPECT_EQ(quiet.receive(upload("new", "file").size()), upload("new", "file"));
}

TEST(Downloads, of_what_is_not_there_are_answered_as_the_dialect_says) {
  const std::string zero(4, '\0');
  const std::pair<Answer, std::string> rows[] = {
      {word(Answer::Kind::zero_size), upload("no", "")},
      {word(Answer::Kind::zero_prefix), zero},
      {frame(R"({"is_file": false, "name": "$name"})"), encode_head(R"({"is_file": false, "name": "no"})")},
      {text("no such file"), "no such file"},
      {word(Answer::Kind::close), ""},
      {word(Answer::Kind::none), error("null", -32045, "cannot read \"no\": No such file or directory")}};
  for (const auto& [answer, expected] : rows) {
    Dialect dialect = talkative();
    dialect.not_found = answer;
    Talking server(dialect);
    EXPECT_EQ(server.talk("get no\n"), expected);
    std::filesystem::create_symlink("/etc/hostname", server.root.path() / "link");
    std::filesystem::create_directory(server.root.path() / "folder");
    for (const std::string name : {"link", "folder", "..", ".framecall", ""}) {
      const std::string reply = server.talk("get " + name + "\n");
      const bool is_error = answer.kind == Answer::Kind::none && reply.find("\"error\"") != std::string::npos;
      EXPECT_EQ(reply.size() > 60, is_error) << name << ": " << reply;
    }
    EXPECT_TRUE(server.log.wait_for("cannot read \"no\""));
  }
}

TEST(Downloads, carry_a_checksum_where_the_dialect_has_one) {
  Dialect dialect = talkative();
  dialect.checksum_keys = {"md5"};
  dialect.checksum_place = Dialect::ChecksumPlace::header;
  dialect.extra_members = R"("from": "us")";
  {
    Talking server(dialect);
    server.put("a", "hello");
    EXPECT_EQ(
        server.talk("get a\n"),
        encode_head(R"({"file_name": "a", "file_size": 5, "md5": ")" + md5("hello") + R"(", "from": "us"})") + "hello");
  }
  dialect.checksum_place = Dialect::ChecksumPlace::trailer;
  dialect.extra_members = "";
  Talking server(dialect);
  server.put("a", "hello");
  EXPECT_EQ(server.talk("get a\nget a\n"), upload("a", "hello") + md5("hello") + upload("a", "hello") + md5("hello"));
}

TEST(Lists, are_answered_as_the_dialect_says) {
  Dialect dialect = talkative();
  const std::pair<Answer, std::string> rows[] = {
      {word(Answer::Kind::body), encode_head(R"({"total_size": 6})") + "a\nb c\n"},
      {frame(R"({"files": "$files", "count": "$size"})"), encode_head(R"({"files": ["a", "b c"], "count": 2})")},
      {text("$files"), "a\nb c"}};
  for (const auto& [answer, expected] : rows) {
    dialect.list = answer;
    Talking server(dialect);
    server.put("b c", "2");
    server.put("a", "1");
    EXPECT_EQ(server.talk("ls\n"), expected);
    EXPECT_EQ(server.talk(encode_head(R"({"cmd": "ls"})")), expected);
  }
}

TEST(Lines, that_are_none_of_the_words) {
  Dialect dialect = talkative();
  Talking server(dialect);
  EXPECT_EQ(server.talk("rm -rf /\n"), upload("rm -rf /", ""));
  EXPECT_TRUE(server.log.wait_for("there is no table of commands"));
  EXPECT_EQ(server.talk("\n\r\n  \n"), "");
  dialect.bare_names = true;
  Talking names(dialect);
  names.put("a.txt", "hello");
  EXPECT_EQ(names.talk("a.txt"), upload("a.txt", "hello"));
}

TEST(Quit, ends_the_connection_after_what_was_asked_before) {
  Talking server(talkative());
  server.put("a", "hello");
  Peer peer(server.tcp);
  peer.send("get a\nquit\nget a\n");
  EXPECT_EQ(peer.receive(upload("a", "hello").size()), upload("a", "hello"));
  EXPECT_EQ(peer.receive_all(), "");
}

TEST(Login, comes_before_everything_else) {
  Dialect dialect = talkative();
  dialect.login = Dialect::Login::frame;
  dialect.user_keys = {"username"};
  dialect.password_keys = {"password"};
  dialect.login_ok = frame(R"({"cmd": "login", "result": true, "user": "$user"})");
  dialect.login_failed = frame(R"({"cmd": "login", "result": false})");
  Users users;
  users.set("ann", "secret");
  ServerOptions options;
  options.users = std::make_shared<const Users>(std::move(users));
  Talking server(dialect, std::move(options));
  server.put("a", "hello");
  const std::string no = encode_head(dialect.login_failed.content);
  const std::string yes = encode_head(R"({"cmd": "login", "result": true, "user": "ann"})");
  const auto login = [](std::string_view user, std::string_view password) {
    return encode_head(std::string(R"({"cmd": "login", "username": ")")
                           .append(user)
                           .append(R"(", "password": ")")
                           .append(password)
                           .append("\"}"));
  };
  EXPECT_EQ(server.talk("get a\n"), no);
  EXPECT_EQ(server.talk(upload("b", "dropped") + "ls\n"), no + no);
  EXPECT_FALSE(std::filesystem::exists(server.root.path() / "b"));
  EXPECT_EQ(server.talk(login("ann", "wrong") + "get a\n"), no + no);
  EXPECT_EQ(server.talk(login("bob", "secret")), no);
  EXPECT_EQ(server.talk(encode_head(R"({"cmd": "register", "username": "eve", "password": "x"})")), no);
  EXPECT_EQ(server.talk(login("ann", "wrong") + login("ann", "secret") + "get a\n"), no + yes + upload("a", "hello"));
}

TEST(Login, may_come_without_a_length_in_front) {
  Dialect dialect = talkative();
  dialect.login = Dialect::Login::text;
  dialect.user_keys = {"user"};
  dialect.password_keys = {"pwd"};
  dialect.login_ok = frame(R"({"ok": 1})");
  dialect.login_failed = text("no");
  Users users;
  users.set("ann", "secret");
  ServerOptions options;
  options.users = std::make_shared<const Users>(std::move(users));
  Talking server(dialect, std::move(options));
  server.put("a", "hello");
  Peer peer(server.tcp);
  peer.send(R"({"user": "ann", "pwd": "guess"})");
  EXPECT_EQ(peer.receive(2), "no");
  peer.send(R"({"user": "ann", "pwd": "secret"})");
  EXPECT_EQ(peer.receive(9), R"({"ok": 1})");
  peer.send("get a");
  EXPECT_EQ(peer.receive(upload("a", "hello").size()), upload("a", "hello"));
}

TEST(Login, is_what_users_are_for) {
  ServerOptions options;
  options.users = std::make_shared<const Users>();
  EXPECT_THROW(Talking(Dialect(), options), std::invalid_argument);
}

TEST(Refusals, fit_behind_every_length_that_a_server_takes) {
  for (const int width : {1, 2}) {
    Dialect dialect;
    dialect.prefixes.front().kind = PrefixFormat::Kind::decimal;
    dialect.prefixes.front().width = static_cast<std::uint8_t>(width);
    EXPECT_THROW(Talking{dialect}, std::invalid_argument);
  }
  Dialect dialect;
  dialect.prefixes.front().kind = PrefixFormat::Kind::decimal;
  dialect.prefixes.front().width = 3;
  dialect.refused = frame(R"({"why": "$message", "more": ")" + std::string(900, 'x') + "\"}");
  {
    Talking server(dialect);
    const std::string refusal = server.talk("040{\"file_name\": \"" + std::string(12, '/') + "\", \"file_size\": 1}");
    EXPECT_TRUE(refusal.starts_with("9")) << refusal;
  }
  dialect.refused = frame(R"({"why": ")" + std::string(1200, 'x') + "\"}");
  Talking server(dialect);
  EXPECT_NE(server.talk("zz and more").find("\"error\""), std::string::npos);
}

TEST(Messages, are_answered_or_refused) {
  Dialect dialect;
  const std::string message = encode_head(R"({"from": "ann", "msg": "hi"})");
  {
    Talking server(dialect);
    const std::string refusal = server.talk(message);
    for (const char* part : {"its keys: from, msg", "keys.name", "(file_name, filename)"}) {
      EXPECT_NE(refusal.find(part), std::string::npos) << refusal;
    }
  }
  dialect.message = word(Answer::Kind::echo);
  const std::string record = encode_head(R"({"device": 7, "file_size": 3})") + "abc";
  {
    Talking server(dialect);
    EXPECT_EQ(server.talk(message + record + message), message + record + message);
    EXPECT_NE(server.talk(encode_head(R"({"device": 7, "file_size": 2000000})")).find("max_message_body"),
              std::string::npos);
  }
  dialect.message = frame(R"({"status": "ok"})");
  Talking server(dialect);
  EXPECT_EQ(server.talk(message + record), encode_head(R"({"status": "ok"})") + encode_head(R"({"status": "ok"})"));
}

TEST(Refusals, are_put_into_the_words_of_the_dialect) {
  Dialect dialect;
  dialect.checksum_keys = {"md5"};
  dialect.checksum_place = Dialect::ChecksumPlace::header;
  dialect.checksum_check = Dialect::ChecksumCheck::reject;
  dialect.refused = frame(R"({"status": 500, "why": "$message"})");
  {
    Talking server(dialect);
    EXPECT_EQ(server.talk(encode_head(file_header(dialect, "a", 5, md5("other"))) + "hello"),
              encode_head(R"({"status": 500, "why": "file \"a\": its checksum differs"})"));
    EXPECT_NE(server.talk(upload("a/b", "x")).find("\"status\": 500"), std::string::npos);
  }
  dialect.refused = text("no");
  Talking server(dialect);
  EXPECT_EQ(server.talk(encode_head(file_header(dialect, "a", 5, md5("other"))) + "hello"), "no");
  EXPECT_FALSE(std::filesystem::exists(server.root.path() / "a"));
}

TEST(Commands, come_as_lines_and_as_frames) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "commands") << "[\"ls -l\"]\ntext = \"total 0\\n\"\n";
  ServerOptions options;
  options.commands = std::make_shared<const CommandTable>(folder.path() / "commands");
  Dialect dialect = talkative();
  dialect.words.emplace_back("run", Operation::command);
  Talking server(dialect, std::move(options));
  const std::string reply = encode_head(R"({"total_size": 8})") + "total 0\n";
  const std::string unknown = encode_head(R"({"total_size": 20})") + "unknown command: id\n";
  EXPECT_EQ(server.talk("ls -l x\n"), encode_head(R"({"total_size": 0})")) << "ls is a word of this dialect";
  EXPECT_EQ(server.talk("run ls -l\nid\n"), reply + unknown);
  EXPECT_EQ(server.talk(encode_head(R"({"cmd": "ls -l"})") + encode_head(R"({"cmd": "id"})")), reply + unknown);
  EXPECT_EQ(server.talk(encode_head(R"({"cmd": "run", "file_name": "ls -l"})")), reply);
}

TEST(Sessions, may_end_after_one_request) {
  Dialect dialect = talkative();
  dialect.close_after_one = true;
  Talking server(dialect);
  server.put("a", "hello");
  Peer peer(server.tcp);
  peer.send("get a\n");
  EXPECT_EQ(peer.receive_all(), upload("a", "hello"));
}

TEST(Mistakes, are_explained) {
  Talking server(Dialect{});
  EXPECT_NE(server.talk(upload("a", "hello") + " and 3 more").find("surplus behind \\\"a\\\""), std::string::npos);
  EXPECT_TRUE(server.log.wait_for("surplus behind \"a\""));
  EXPECT_NE(
      server.talk(encode_head("{}", {PrefixFormat::Kind::binary, PrefixFormat::Order::big, 4})).find("prefix.order"),
      std::string::npos);
}

}  // namespace
}  // namespace framecall::conversation_test
