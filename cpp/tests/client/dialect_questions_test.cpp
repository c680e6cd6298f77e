// What our client asks a server script, and what it makes of the answers: logins, downloads, lists, messages.
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "framecall/dialect_client.hpp"
#include "support/peer.hpp"
#include "support/script.hpp"
#include "support/temporary_folder.hpp"

namespace framecall::dialect_questions_test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using namespace std::string_literals;

const std::string hello_md5 = "5d41402abc4b2a76b9719d911017c592";

DialectOptions with(const Dialect& dialect) {
  DialectOptions options;
  options.dialect = dialect;
  return options;
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

// Every byte in a segment of its own, if nobody is slow.
void send_bytewise(Peer& peer, std::string_view bytes) {
  const int on = 1;
  ::setsockopt(peer.socket(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  for (const char byte : bytes) peer.send({&byte, 1});
}

// Until the client has closed. It may have left something unread, which makes that a reset.
void wait_for_the_end(Peer& peer) {
  try {
    while (!peer.receive_some().empty()) continue;
  } catch (const std::system_error&) {
  }
}

// --- Logins

TEST(DialectClient, logs_in) {
  const std::string dict = R"({"cmd": "login", "username": "ann", "pwd": "s3\u4f60"})";
  for (const bool text : {false, true}) {
    Script script([&](Peer& peer) {
      const std::string asked = text ? dict : encode_head(dict);
      EXPECT_EQ(peer.receive(asked.size()), asked);
      const std::string said = R"({"result": true, "name": "ann"})";
      send_bytewise(peer, text ? said : encode_head(said));
      peer.half_close();
      wait_for_the_end(peer);
    });
    Dialect dialect = script_dialect();
    dialect.login = text ? Dialect::Login::text : Dialect::Login::frame;
    dialect.login_ok = frame_answer(R"({"result": true})");
    dialect.pause_ms = 20'000;  // the text is over when the connection is
    DialectClient client(script.endpoint(), with(dialect));
    EXPECT_EQ(failure([&] { client.login("ann", "s3你"); }), "nothing");
    EXPECT_TRUE(client.usable());
  }
}

TEST(DialectClient, a_login_that_fails) {
  const struct {
    std::string said, received;
  } rows[] = {
      {encode_head(R"({"result": false})"), R"(received {"result": false})"},
      {encode_head(R"({"ok": true})"), R"(received {"ok": true})"},
      {R"({"result": 1})", R"(received the text "{"result": 1}")"},
      {"password\x1b?\n", R"(received the text "password\x1b?\x0a")"},
      {"", "the peer closed the connection"},
  };
  for (const auto& row : rows) {
    Script script([&](Peer& peer) {
      EXPECT_EQ(receive_header(peer), R"({"cmd": "login", "username": "ann", "pwd": "x"})");
      peer.send(row.said);
      if (row.said.empty()) peer.half_close();
      wait_for_the_end(peer);
    });
    Dialect dialect = script_dialect();
    dialect.login = Dialect::Login::frame;
    dialect.login_ok = frame_answer(R"({"result": true})");
    DialectClient client(script.endpoint(), with(dialect));
    EXPECT_EQ(failure([&] { client.login("ann", "x"); }),
              "remote -32056: the answer to the login of \"ann\": expected {\"result\": true}, " + row.received);
    EXPECT_FALSE(client.usable());
  }
  PeerListener listener;
  DialectClient client(listener.endpoint(), with(script_dialect()));
  EXPECT_EQ(failure([&] { client.login("ann", "x"); }), "argument: the dialect \"scripts\" has no login");
}

// --- Downloads

// What a client gets that asks for "a" as "file", which has held "old".
struct Download {
  std::string asked, failure, content;
  std::vector<std::string> warnings, names;
  std::uint64_t size = 0;
  bool usable = false;
};

Download download(const Dialect& dialect, std::string_view said, bool bytewise = false,
                  std::chrono::milliseconds timeout = patience) {
  Download result;
  TemporaryFolder folder;
  make_file(folder / "file", "old");
  {
    Script script([&](Peer& peer) {
      result.asked = peer.receive_some();
      bytewise ? send_bytewise(peer, said) : peer.send(said);
      if (timeout == patience) peer.half_close();
      wait_for_the_end(peer);
    });
    DialectOptions options = with(dialect);
    options.timeout = timeout;
    options.warning = [&](std::string_view message) { result.warnings.emplace_back(message); };
    DialectClient client(script.endpoint(), options);
    result.failure = failure([&] { result.size = client.receive_file("a", folder / "file"); });
    result.usable = client.usable();
    const std::size_t address = result.failure.find(script.endpoint().to_string());
    if (address != std::string::npos) result.failure.replace(address, script.endpoint().to_string().size(), "PEER");
  }
  result.content = content_of(folder / "file");
  result.names = names_in(folder.path());
  EXPECT_EQ(result.names, std::vector<std::string>{"file"});
  if (result.failure != "nothing") {
    EXPECT_EQ(result.content, "old");
  }
  return result;
}

TEST(DialectClient, asks_for_a_file_and_stores_it) {
  Dialect dialect = script_dialect();
  const std::string reply = encode_head(R"({"name": "other", "size": 5, "x": 1})") + "hello";
  for (const bool bytewise : {false, true}) {
    const Download result = download(dialect, reply, bytewise);
    EXPECT_EQ(result.failure, "nothing");
    EXPECT_EQ(result.asked, encode_head(R"({"cmd": "get", "filename": "a"})"));
    EXPECT_EQ(result.content, "hello");
    EXPECT_EQ(result.size, 5u);
    EXPECT_EQ(result.warnings, std::vector<std::string>());
  }
  EXPECT_EQ(download(dialect, encode_head(R"({"size": 1})") + "x").content, "x");  // a name is not needed
  EXPECT_EQ(download(dialect, encode_head(R"({"total_size": 1})") + "x").content, "x");
  EXPECT_EQ(download(dialect, encode_head(R"({"filesize": 0})")).content, "");
  dialect.ask_form = Dialect::AskForm::line;
  EXPECT_EQ(download(dialect, reply).asked, "get a");
  dialect.ask_form = Dialect::AskForm::name;
  EXPECT_EQ(download(dialect, reply).asked, "a");
  dialect.ask_form = Dialect::AskForm::frame;
  dialect.operation_keys.clear();
  EXPECT_EQ(download(dialect, reply).asked, encode_head(R"({"filename": "a"})"));
  dialect.prefixes.front().order = PrefixFormat::Order::big;
  const Download big = download(dialect, encode_head(R"({"size": 5})", dialect.prefixes.front()) + "hello", true);
  EXPECT_EQ(big.asked, "\0\0\0\x11{\"filename\": \"a\"}"s);
  EXPECT_EQ(big.content, "hello");
  dialect.prefixes.front().kind = PrefixFormat::Kind::decimal;
  EXPECT_EQ(download(dialect, "0011{\"size\": 5}hello", true).content, "hello");
}

TEST(DialectClient, stores_a_large_file_as_it_comes) {
  TemporaryFolder folder;
  const std::string content = some_bytes(10'000'000);
  Script script([&](Peer& peer) {
    for (int i = 0; i < 2; ++i) {
      receive_header(peer);
      peer.send(encode_head(R"({"filesize": 10000000})"));
      peer.send(content);
    }
    wait_for_the_end(peer);
  });
  std::vector<std::uint64_t> steps;
  DialectOptions options = with(script_dialect());
  options.progress = [&](std::uint64_t done, std::uint64_t size) {
    EXPECT_EQ(size, content.size());
    EXPECT_EQ(names_in(folder.path()).front().substr(0, 11), ".framecall-");  // and not under its name
    steps.push_back(done);
  };
  DialectClient client(script.endpoint(), options);
  const mode_t mask = ::umask(027);
  EXPECT_EQ(client.receive_file("a", folder / "a"), content.size());
  ::umask(mask);
  EXPECT_TRUE(client.usable());
  EXPECT_EQ(steps.front(), 0u);
  EXPECT_EQ(steps.back(), content.size());
  EXPECT_TRUE(std::is_sorted(steps.begin(), steps.end()));
  fs::create_symlink(folder / "a", folder / "link");
  EXPECT_EQ(client.receive_file("a", folder / "link"), content.size());
  EXPECT_TRUE(fs::is_regular_file(fs::symlink_status(folder / "link")));
  EXPECT_TRUE(content_of(folder / "link") == content);
  EXPECT_TRUE(content_of(folder / "a") == content);
  struct stat status{};
  ASSERT_EQ(::stat((folder / "a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640u);
}

TEST(DialectClient, a_target_that_cannot_be_is_found_before_anything_is_asked) {
  TemporaryFolder folder;
  std::string asked;
  Script script([&](Peer& peer) { asked = peer.receive_all(); });
  {
    DialectClient client(script.endpoint(), with(script_dialect()));
    EXPECT_EQ(failure([&] { client.receive_file("a", folder.path()); }),
              "system " + std::to_string(EISDIR) + ": " + folder.path().string() + ": Is a directory");
    EXPECT_EQ(failure([&] { client.receive_file("a", folder / "none/a"); }),
              "system " + std::to_string(ENOENT) + ": " + (folder / "none/a").string() + ": No such file or directory");
    EXPECT_EQ(failure([&] { client.receive_file("", folder / "a"); }), "argument: a file name that is empty");
    EXPECT_TRUE(client.usable());
  }
  script.join();
  EXPECT_EQ(asked, "");
  EXPECT_EQ(names_in(folder.path()), std::vector<std::string>());
}

TEST(DialectClient, a_file_that_is_not_there) {
  Dialect zero_size = script_dialect(), zero_prefix = zero_size, text = zero_size, frame = zero_size;
  zero_size.not_found = answer(Answer::Kind::zero_size);
  zero_prefix.zero_prefix = Dialect::ZeroPrefix::not_found;
  text.not_found = text_answer("no such file: $name");
  frame.not_found = frame_answer(R"({"isfile": "no"})");
  Dialect trailer = zero_size;
  trailer.checksum_place = Dialect::ChecksumPlace::trailer;
  const struct {
    const Dialect& dialect;
    std::string said, failure;
    bool usable;
  } rows[] = {
      {zero_size, encode_head(R"({"filename": "a", "filesize": 0})"),
       R"("a", or empty: received {"filename": "a", "filesize": 0})", true},
      {trailer, encode_head(R"({"filesize": 0})"), R"("a", or empty: received {"filesize": 0})", false},
      {zero_prefix, "\0\0\0\0"s, "\"a\": received a length of 0", true},
      {text, "no such file: a", R"("a": received the text "no such file: a")", true},
      {text, "no", R"("a": received the text "no")", true},
      {zero_size, "No such file\n", R"("a": received the text "No such file\x0a")", true},
      {frame, encode_head(R"({"isfile": "no", "filesize": 0})"), R"("a": received {"isfile": "no", "filesize": 0})",
       true},
      {zero_size, encode_head(R"({"error": "gone"})"), R"("a": received {"error": "gone"})", true},
      {zero_size, encode_head("{}"), R"("a": received {})", true},
      {zero_size, "", "\"a\": the peer closed the connection", false},
  };
  for (const auto& row : rows) {
    const Download result = download(row.dialect, row.said);
    EXPECT_EQ(result.failure, "remote -32045: not found: " + row.failure);
    EXPECT_EQ(result.usable, row.usable) << row.said;
  }
  Dialect calls = script_dialect();
  calls.calls = true;
  EXPECT_EQ(download(calls, encode_head(R"({"error": {"code": -32602, "message": "no"}, "filesize": 9})")).failure,
            "remote -32602: no");
  Dialect login = zero_size;
  login.login = Dialect::Login::frame;
  login.login_failed = frame_answer(R"({"result": false})");
  EXPECT_EQ(download(login, encode_head(R"({"result": false})")).failure,
            "remote -32056: not logged in: \"a\": received {\"result\": false}");
}

TEST(DialectClient, a_connection_goes_on_after_a_file_that_was_not_there) {
  TemporaryFolder folder;
  Script script([&](Peer& peer) {
    for (const std::string_view said : {"none", "here", "none"}) {
      receive_header(peer);
      peer.send(said == "here" ? encode_head(R"({"filesize": 2})") + "ok" : encode_head(R"({"filesize": 0})"));
    }
    wait_for_the_end(peer);
  });
  Dialect dialect = script_dialect();
  dialect.not_found = answer(Answer::Kind::zero_size);
  DialectClient client(script.endpoint(), with(dialect));
  EXPECT_TRUE(failure([&] { client.receive_file("a", folder / "a"); }).starts_with("remote -32045"));
  EXPECT_TRUE(client.usable());
  EXPECT_EQ(client.receive_file("b", folder / "b"), 2u);
  EXPECT_TRUE(failure([&] { client.receive_file("c", folder / "c"); }).starts_with("remote -32045"));
  EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{"b"});
}

TEST(DialectClient, a_server_that_lies_about_a_file_leaves_none) {
  const Dialect dialect = script_dialect();
  const std::string head = encode_head(R"({"filesize": 5})");
  const struct {
    std::string said, failure;
  } rows[] = {
      {head + "hell", "protocol -32055: PEER: closed inside a body, with 1 bytes of it missing"},
      {head, "protocol -32055: PEER: closed inside a body, with 5 bytes of it missing"},
      {head.substr(0, 10), "protocol -32055: PEER: closed inside a head, after 10 bytes of it"},
      {head.substr(0, 2), "protocol -32055: PEER: closed inside a head, after 2 bytes of it"},
      {encode_head(R"({"filesize": null})"), "protocol -32600: PEER: filesize is not an integer 0 .. 2^63-1: null"},
      {encode_head(R"({"filesize": 1, "size": 2})"),
       "protocol -32600: PEER: filesize and size are both there and differ"},
      {encode_head("{'filesize': 1}"), "protocol -32700: PEER: "},
  };
  for (const auto& row : rows) {
    for (const bool bytewise : {false, true}) {
      const Download result = download(dialect, row.said, bytewise);
      EXPECT_EQ(result.failure.substr(0, row.failure.size()), row.failure);
      EXPECT_FALSE(result.usable);
    }
  }
  const Download late = download(dialect, head + "hell", false, 100ms);
  EXPECT_EQ(late.failure, "system 110: PEER: no progress for 100 ms: Connection timed out");
  const Download silent = download(dialect, "", false, 100ms);
  EXPECT_EQ(silent.failure, "system 110: PEER: the header of \"a\" did not come within 100 ms: Connection timed out");
  const Download more = download(dialect, head + "hello and more");
  EXPECT_EQ(more.failure, "nothing");
  EXPECT_EQ(more.content, "hello");
  EXPECT_EQ(more.warnings, std::vector<std::string>{"\"a\": more came than the announced 5 bytes"});
  EXPECT_FALSE(more.usable);
}

TEST(DialectClient, a_server_that_closed_before_the_question) {
  TemporaryFolder folder;
  Script script([](Peer& peer) {
    peer.receive(5);
    peer.send("bye");
    peer.half_close();
    wait_for_the_end(peer);
  });
  Dialect dialect = script_dialect();
  dialect.pause_ms = 20'000;  // the text is over when the connection is
  DialectClient client(script.endpoint(), with(dialect));
  EXPECT_EQ(client.ask("hello").body, "bye");
  const std::string expected =
      "system " + std::to_string(EPIPE) + ": " + script.endpoint().to_string() + ": the peer has closed the connection";
  EXPECT_EQ(failure([&] { client.receive_file("a", folder / "a"); }), expected + ": Broken pipe");
  EXPECT_EQ(failure([&] { client.ask("x"); }), expected + ": Broken pipe");
}

TEST(DialectClient, the_checksum_that_comes_with_a_file) {
  using Check = Dialect::ChecksumCheck;
  const std::string other = "0123456789abcdef0123456789ABCDEF";
  const std::string differs =
      "\"a\": damaged on the way, or at the peer: its MD5 is " + hello_md5 + ", announced was " + other;
  const std::string fake = "\"a\": the checksum \"xxdxxx\" that came with it is no MD5, and was not compared";
  std::string upper = hello_md5;
  for (char& c : upper) c = static_cast<char>(std::toupper(c));
  const struct {
    Check check;
    std::string came, warning;
    bool stored;
  } rows[] = {
      {Check::warn, hello_md5, "", true},  {Check::reject, hello_md5, "", true},
      {Check::reject, upper, "", true},    {Check::warn, other, differs, true},
      {Check::reject, other, "", false},   {Check::off, other, "", true},
      {Check::warn, "xxdxxx", fake, true}, {Check::reject, "xxdxxx", fake, true},
      {Check::off, "xxdxxx", "", true},    {Check::warn, "", "\"a\": no checksum came with it", true},
  };
  for (const auto& row : rows) {
    for (const bool trailer : {false, true}) {
      if (trailer && row.came.size() != 32) continue;
      Dialect dialect = script_dialect();
      dialect.checksum_place = trailer ? Dialect::ChecksumPlace::trailer : Dialect::ChecksumPlace::header;
      dialect.checksum_check = row.check;
      std::string said = R"({"filesize": 5})";
      if (!trailer && !row.came.empty()) said = R"({"filesize": 5, "hash": ")" + row.came + R"("})";
      const Download result = download(dialect, encode_head(said) + "hello" + (trailer ? row.came : ""), trailer);
      EXPECT_EQ(result.failure, row.stored ? "nothing" : "protocol -32055: " + differs);
      EXPECT_EQ(result.content, row.stored ? "hello" : "old");
      EXPECT_EQ(result.warnings,
                row.warning.empty() ? std::vector<std::string>() : std::vector<std::string>{row.warning});
    }
  }
  Dialect dialect = script_dialect();
  dialect.checksum_place = Dialect::ChecksumPlace::trailer;
  EXPECT_EQ(download(dialect, encode_head(R"({"filesize": 5})") + "hello" + hello_md5.substr(1)).failure,
            "protocol -32055: PEER: closed inside a body, with 1 bytes of it missing");
}

// --- Lists and messages

// What comes back for `call`, from a script that says `said` to it.
struct Answered {
  std::string asked, failure;
  Reply reply;
  std::vector<std::string> warnings;
  bool usable = false;
};

template <typename Call>
Answered answered(const DialectOptions& given, std::string_view said, Call call, bool bytewise = false) {
  Answered result;
  Script script([&](Peer& peer) {
    result.asked = peer.receive_some();
    bytewise ? send_bytewise(peer, said) : peer.send(said);
    peer.half_close();
    wait_for_the_end(peer);
  });
  DialectOptions options = given;
  options.warning = [&](std::string_view message) { result.warnings.emplace_back(message); };
  {
    DialectClient client(script.endpoint(), options);
    result.failure = failure([&] { result.reply = call(client); });
    result.usable = client.usable();
  }
  const std::size_t address = result.failure.find(script.endpoint().to_string());
  if (address != std::string::npos) result.failure.replace(address, script.endpoint().to_string().size(), "PEER");
  script.join();
  return result;
}

Answered asked(const Dialect& dialect, std::string_view text, std::string_view said, bool bytewise = false) {
  return answered(with(dialect), said, [&](DialectClient& client) { return client.ask(text); }, bytewise);
}

TEST(DialectClient, asks_for_a_list) {
  const auto call = [](DialectClient& client) { return client.list(); };
  Dialect dialect = script_dialect();
  Answered result = answered(with(dialect), encode_head(R"({"total_size": 7})") + "a.txt\nb", call, true);
  EXPECT_EQ(result.asked, encode_head(R"({"cmd": "ls"})"));
  EXPECT_EQ(result.reply.header, R"({"total_size": 7})");
  EXPECT_EQ(result.reply.body, "a.txt\nb");
  EXPECT_TRUE(result.usable);
  result = answered(with(dialect), encode_head(R"({"files": ["a.txt"]})"), call);
  EXPECT_EQ(result.reply.header, R"({"files": ["a.txt"]})");
  EXPECT_EQ(result.reply.body, "");
  for (const auto form : {Dialect::AskForm::line, Dialect::AskForm::name}) {
    dialect.ask_form = form;
    result = answered(with(dialect), "a.txt\nb.txt\n\nc", call);
    EXPECT_EQ(result.asked, "ls");
    EXPECT_EQ(result.reply.header, "");
    EXPECT_EQ(result.reply.body, "a.txt\nb.txt\n\nc");
  }
  dialect.words.clear();
  EXPECT_EQ(answered(with(dialect), "",
                     [&](DialectClient& client) {
                       EXPECT_EQ(failure([&] { client.list(); }),
                                 "argument: the dialect \"scripts\" has no word for a list");
                       return client.ask("quit");
                     })
                .asked,
            "quit");
}

TEST(DialectClient, the_checksum_behind_files_is_not_behind_lists) {
  Dialect dialect = script_dialect();
  dialect.checksum_place = Dialect::ChecksumPlace::trailer;
  const auto list = [](DialectClient& client) { return client.list(); };
  EXPECT_EQ(answered(with(dialect), encode_head(R"({"filesize": 5})") + "hello", list).reply.body, "hello");
  const std::string file = encode_head(R"({"filesize": 5})") + "hello" + hello_md5;
  for (const std::string_view question : {"get a", R"({"cmd": "get", "name": "a"})"}) {
    const Answered result = asked(dialect, question, file);
    EXPECT_EQ(result.reply.body, "hello");
    EXPECT_EQ(result.warnings, std::vector<std::string>());
  }
}

TEST(DialectClient, a_message_leaves_as_it_was_written_or_as_a_frame) {
  const Dialect dialect = script_dialect();
  EXPECT_EQ(asked(dialect, "dir  C:\\ ", "x\n").asked, "dir  C:\\ ");
  EXPECT_EQ(asked(dialect, " {\"a\":[1,\"你\"]} ", "x\n").asked, encode_head(R"({"a": [1, "\u4f60"]})"));
  EXPECT_EQ(asked(dialect, "[1]", "x\n").asked, "[1]");
  const Answered broken = asked(dialect, "{'a': 1}", "x\n");
  EXPECT_EQ(broken.asked, "{'a': 1}");
  ASSERT_EQ(broken.warnings.size(), 1u);
  EXPECT_TRUE(broken.warnings[0].starts_with("not JSON, and sent as raw text: {'a': 1}: ")) << broken.warnings[0];
  EXPECT_EQ(answered(with(dialect), "",
                     [&](DialectClient& client) {
                       EXPECT_EQ(failure([&] { client.ask(" \n"); }), "argument: a message that is empty");
                       return client.ask("quit");
                     })
                .asked,
            "quit");
}

TEST(DialectClient, a_reply_is_a_frame_or_text) {
  Dialect dialect = script_dialect();
  dialect.pause_ms = 20'000;  // text in pieces is one text on a slow machine too: it ends with the connection
  const struct {
    std::string said, header, body;
  } rows[] = {
      {encode_head(R"({"a": 1})"), R"({"a": 1})", ""},
      {encode_head(R"({"total_size": 3, "a": 1})") + "x\0y"s, R"({"total_size": 3, "a": 1})", "x\0y"s},
      {encode_head(R"({"size": 0})"), R"({"size": 0})", ""},
      {encode_head(R"({"cmd": "get", "size": 1})") + "x", R"({"cmd": "get", "size": 1})", "x"},
      {"OK", "", "OK"},
      {"1", "", "1"},
      {"你好\r\nx\n", "", "你好\r\nx\n"},
      {R"({"a": 1})", "", R"({"a": 1})"},
  };
  for (const auto& row : rows) {
    for (const bool bytewise : {false, true}) {
      const Answered result = asked(dialect, "x", row.said, bytewise);
      EXPECT_EQ(result.failure, "nothing");
      EXPECT_EQ(result.reply.header, row.header);
      EXPECT_EQ(result.reply.body, row.body);
      EXPECT_TRUE(result.usable);
    }
  }
}

TEST(DialectClient, replies_one_after_the_other) {
  Script script([](Peer& peer) {
    EXPECT_EQ(peer.receive(2), "ab");
    peer.send("text\n" + encode_head(R"({"unasked": 1, "total_size": 3})") + "xyz");
    EXPECT_EQ(receive_header(peer), "{}");
    peer.send(encode_head(R"({"total_size": 1})") + "1");
    EXPECT_EQ(peer.receive(1), "c");
    peer.send("end");
    wait_for_the_end(peer);
  });
  DialectOptions options = with(script_dialect());
  std::vector<std::string> warnings;
  options.warning = [&warnings](std::string_view text) { warnings.emplace_back(text); };
  DialectClient client(script.endpoint(), std::move(options));
  EXPECT_EQ(client.ask("ab").body, "text\n");
  EXPECT_EQ(client.ask("{}").body, "1");
  EXPECT_EQ(client.ask("c").body, "end");
  EXPECT_EQ(warnings, std::vector<std::string>{"dropped what the peer said without having been asked, 1 message: "
                                               "{\"unasked\": 1, \"total_size\": 3}"});
}

TEST(DialectClient, what_comes_unasked_can_be_taken_in_its_order) {
  Script script([](Peer& peer) {
    EXPECT_EQ(peer.receive(2), "ab");
    peer.send("text\n" + encode_head(R"({"unasked": 1, "total_size": 3})") + "xyz" + encode_head(R"({"unasked": 2})"));
    EXPECT_EQ(receive_header(peer), "{}");
    peer.send(encode_head(R"({"total_size": 1})") + "1");
    wait_for_the_end(peer);
  });
  DialectClient client(script.endpoint(), with(script_dialect()));
  EXPECT_EQ(client.ask("ab").body, "text\n");
  const auto first = client.unasked(patience), second = client.unasked(patience);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->body, "xyz");
  EXPECT_EQ(second->header, R"({"unasked": 2})");
  EXPECT_FALSE(client.unasked(std::chrono::milliseconds(0)));
  EXPECT_EQ(client.ask("{}").body, "1");
}

TEST(DialectClient, a_question_that_gets_no_reply) {
  Dialect dialect = script_dialect();
  EXPECT_EQ(asked(dialect, "x", "").failure, "remote -32054: the reply to \"x\": the peer closed the connection");
  EXPECT_EQ(asked(dialect, "get x", "").failure,
            "remote -32045: not found: the reply to \"get x\": the peer closed the connection");
  const Answered quit = asked(dialect, "quit", "");
  EXPECT_EQ(quit.failure, "nothing");
  EXPECT_EQ(quit.reply.header + quit.reply.body, "");
  dialect.zero_prefix = Dialect::ZeroPrefix::not_found;
  EXPECT_EQ(asked(dialect, "x", "\0\0\0\0"s).failure,
            "remote -32045: not found: the reply to \"x\": received a length of 0");
  dialect.zero_prefix = Dialect::ZeroPrefix::end;
  EXPECT_EQ(asked(dialect, "x", "\0\0\0\0"s).failure, "remote -32054: the reply to \"x\": received a length of 0");
  dialect.not_found = answer(Answer::Kind::zero_size);
  EXPECT_EQ(asked(dialect, "get x", encode_head(R"({"size": 0})")).failure,
            "remote -32045: not found: the reply to \"get x\", or empty: received {\"size\": 0}");
  EXPECT_EQ(asked(dialect, "x", encode_head(R"({"size": 0})")).reply.header, R"({"size": 0})");
  dialect.login = Dialect::Login::frame;
  dialect.login_failed = text_answer("login first");
  EXPECT_EQ(asked(dialect, "x", "login first\n").failure,
            "remote -32056: not logged in: the reply to \"x\": received the text \"login first\\x0a\"");
  const Answered call = asked(default_dialect(), R"({"id": 1, "method": "m"})",
                              encode_head(R"({"id": 1, "error": {"code": -32601, "message": "none"}})"));
  EXPECT_EQ(call.failure, "remote -32601: none");
  const Answered garbage = asked(dialect, "x", "\1\2\3\4\5");
  EXPECT_TRUE(garbage.failure.starts_with("protocol -32600: PEER: ")) << garbage.failure;
}

TEST(DialectClient, a_reply_that_is_too_long) {
  DialectOptions options = with(script_dialect());
  options.max_reply = 1000;
  const auto call = [](DialectClient& client) { return client.ask("x"); };
  EXPECT_EQ(answered(options, encode_head(R"({"size": 1000})") + std::string(1000, 'x'), call).reply.body.size(),
            1000u);
  const Answered frame = answered(options, encode_head(R"({"size": 1001})"), call);
  EXPECT_EQ(frame.failure,
            "protocol -32048: PEER: the reply to \"x\" announces 1001 bytes, at most 1000 are read, max_reply");
  EXPECT_FALSE(frame.usable);
  const Answered text = answered(options, std::string(990, 'x') + "\n" + std::string(100, 'x'), call);
  EXPECT_EQ(text.failure, "protocol -32048: PEER: the reply to \"x\" has more than 1000 bytes, max_reply");
}

TEST(DialectClient, messages_without_replies_are_told_apart_by_a_pause) {
  PeerListener listener;
  Dialect dialect = script_dialect();
  dialect.pause_ms = 100;
  DialectClient client(listener.endpoint(), with(dialect));
  Peer peer = listener.accept();
  const auto begin = std::chrono::steady_clock::now();
  for (const std::string_view text : {"get a", "get b", "{}"}) client.say(text);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 200ms);
  EXPECT_EQ(peer.receive(16), "get aget b" + encode_head("{}"));
  client.say("{}");  // a frame has an end of its own
  EXPECT_EQ(peer.receive(6), encode_head("{}"));
}

}  // namespace
}  // namespace framecall::dialect_questions_test
