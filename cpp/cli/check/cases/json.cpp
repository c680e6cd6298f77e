// The cases of the level `framing` about the text of headers: what json.loads reads.
#include <iterator>
#include <utility>

#include "check/trial.hpp"

namespace framecall::cli::check {
namespace {

// insert() in a way that g++ 12 does not warn about.
void put(std::string& text, std::size_t at, std::string_view more) {
  std::string whole;
  whole.append(text, 0, at).append(more).append(text, at);
  text = std::move(whole);
}

void send_whole(Peer& peer, const Message& message) { peer.send(message.bytes()); }

// Sends samples whose header `change` has made into another text with the same meaning.
void rewritten(ServerTrial& trial, void (*change)(std::string& header), const std::string& body = "hello") {
  for (Message& message : trial.samples(body)) {
    change(message.header);
    Peer peer = trial.connect();
    send_whole(peer, message);
    trial.settle(peer, {&message, 1});
  }
}

void white_space(ServerTrial& trial) {
  rewritten(trial, [](std::string& header) {
    put(header, 1, " \t\r\n ");
    put(header, header.size() - 1, "\n");
    put(header, 0, " \n");
    header.append("\r\n   ");
  });
}

void compact(ServerTrial& trial) {
  rewritten(trial, [](std::string& header) {
    for (const char* wide : {", ", ": "}) {
      for (std::size_t at = header.find(wide); at != std::string::npos; at = header.find(wide)) header.erase(at + 1, 1);
    }
  });
}

// The size first: keys have no order.
void key_order(ServerTrial& trial) {
  rewritten(trial, [](std::string& header) {
    const std::size_t at = header.rfind(", ");
    const std::string last = header.substr(at + 2, header.size() - at - 3);
    header.erase(at, last.size() + 2);
    put(header, 1, ", ");
    put(header, 1, last);
  });
}

void unicode_escapes(ServerTrial& trial) {
  rewritten(trial, [](std::string& header) {
    for (const auto& [plain, escape] :
         {std::pair{"\"method\"", "\"\\u006dethod\""}, {"\"file_name\"", "\"file\\u005Fname\""}}) {
      const std::size_t at = header.find(plain);
      if (at != std::string::npos) header.replace(at, std::string_view(plain).size(), escape);
    }
  });
}

void raw_utf8(ServerTrial& trial) { trial.each_sample(send_whole, "hello", ", \"x-\u00e9\": \"你好 \U0001f600\""); }
void unknown_keys(ServerTrial& trial) {
  trial.each_sample(send_whole, "hello", R"(, "x-a": 1, "x-b": [true, null, {"c": []}], "": "", "md5": "0")");
}
void surrogates(ServerTrial& trial) {
  trial.each_sample(send_whole, "hello", R"(, "x-pair": "\ud83d\ude00", "x-lone": "\ud800", "x-nul": "\u0000")");
}
void constants(ServerTrial& trial) {
  trial.each_sample(send_whole, "hello", R"(, "x-a": NaN, "x-b": [Infinity, -Infinity])");
}
void numbers(ServerTrial& trial) {
  trial.each_sample(send_whole, "hello", ", \"x-a\": 1e400, \"x-b\": -1E-400, \"x-c\": 1" + std::string(400, '0'));
}
void nested(ServerTrial& trial) {
  trial.each_sample(send_whole, "hello", ", \"x-a\": " + std::string(100, '[') + std::string(100, ']'));
}
void big_header(ServerTrial& trial) {
  trial.each_sample(send_whole, "hello", ", \"x-a\": \"" + std::string(60000, 'x') + "\"");
}

// Twice the size: the wrong one first.
void duplicate_size(ServerTrial& trial) {
  rewritten(trial, [](std::string& header) {
    for (const char* key : {"\"body_size\": ", "\"file_size\": "}) {
      const std::size_t at = header.find(key);
      if (at != std::string::npos) put(header, at, std::string(key) + "3, ");
    }
  });
}

void duplicate_bad_size(ServerTrial& trial) {
  rewritten(trial, [](std::string& header) {
    for (const char* key : {"\"body_size\": ", "\"file_size\": "}) {
      const std::size_t at = header.find(key);
      if (at != std::string::npos) put(header, at, std::string(key) + "\"no size\", ");
    }
  });
}

void duplicate_name(ServerTrial& trial) {
  rewritten(trial, [](std::string& header) {
    const bool upload = header.find("\"file_name\"") != std::string::npos;
    put(header, 1,
        upload ? "\"file_name\": \"framecall-check-first\", " : "\"id\": \"first\", \"method\": \"first\", ");
  });
}

// Refusing is allowed where the limit is the server's own; reading it as something else is not.
void at_a_limit(ServerTrial& trial, std::string_view extra, const char* what, int code) {
  for (const Message& message : trial.samples("hello", extra)) {
    Peer peer = trial.connect();
    peer.send(message.bytes());
    const std::string of(what);
    if (!message.is_upload) {
      const std::optional<Frame> frame = peer.read_frame("the reply to a header of " + of);
      if (!frame) {
        trial.warn("a header of " + of + ": the connection ended without a word");
        continue;
      }
      const Json& error = frame->member("error");
      if (frame->member("id").is_null() && error.is_object() && error.value("code", Json()) == code) {
        trial.warn("a header of " + of + " is refused: " + escaped(frame->text, 100));
        continue;
      }
      trial.check_reply(*frame, message);
      continue;
    }
    peer.finish_sending();
    const std::string came = peer.read_to_end("the end of the connection, after we ended our direction");
    if (!came.empty()) {
      trial.warn("an upload with a header of " + of + " is refused: " + escaped(came, 100));
    } else {
      trial.check_stored(message);
    }
  }
}

void largest_header(ServerTrial& trial) {
  // The members around it differ by a few bytes from id to id; 200 less than the limit is near enough.
  at_a_limit(trial, ", \"x-a\": \"" + std::string((1 << 20) - 200, 'x') + "\"", "1 MiB", -32600);
}
void deep(ServerTrial& trial) {
  at_a_limit(trial, ", \"x-a\": " + std::string(900, '[') + std::string(900, ']'), "901 levels", -32700);
}

constexpr const char* reader_hint = "read the header with a complete JSON reader: json.loads(header.decode('utf-8'))";
constexpr const char* last_wins =
    "of duplicate keys the last one counts, as in json.loads; a reader of your own must agree";

constexpr ServerCase all_json_cases[] = {
    {"framing/white-space", Level::framing, nothing, "blanks, tabs and line ends inside and around the header",
     "5: any layout that JSON allows; 1: white space around it counts in N", reader_hint, white_space},
    {"framing/compact", Level::framing, nothing, "a header without any white space, as other languages write it",
     "5: any layout that JSON allows", reader_hint, compact},
    {"framing/key-order", Level::framing, nothing, "the size key in front of the others",
     "5: any layout that JSON allows", "look keys up by name, not by place", key_order},
    {"framing/unicode-escapes", Level::framing, nothing, "keys spelt with \\u escapes", "5: read as json.loads reads",
     reader_hint, unicode_escapes},
    {"framing/raw-utf8", Level::framing, nothing, "a header with Chinese and an emoji as UTF-8, not escaped",
     "1: N bytes, UTF-8 text", "the length counts bytes: read N bytes first, decode then", raw_utf8},
    {"framing/unknown-keys", Level::framing, nothing, "keys that nobody knows, with values of all kinds",
     "10: a receiver ignores keys that it does not know", "ignore the keys you do not know: header.get(...)",
     unknown_keys},
    {"framing/surrogates", Level::framing, nothing, "escapes of a surrogate pair, of a lone surrogate, of NUL",
     "5: escapes of lone surrogates are kept", reader_hint, surrogates},
    {"framing/constants", Level::framing, nothing, "NaN, Infinity and -Infinity under unknown keys",
     "5: the tokens NaN, Infinity, -Infinity are read", reader_hint, constants},
    {"framing/numbers", Level::framing, nothing, "1e400, -1E-400 and an integer of 401 digits under unknown keys",
     "5: integers of any size up to 4,300 digits; numbers beyond a double as infinity or zero",
     "numbers beyond 64 bits are no error", numbers},
    {"framing/nested", Level::framing, nothing, "101 levels of nesting", "5: nesting up to 1,000 levels", reader_hint,
     nested},
    {"framing/deep", Level::framing, nothing, "901 levels of nesting (a refusal is a warning)",
     "5: nesting up to 1,000 levels", "a reader that recurses needs a limit, and -32700 beyond it", deep},
    {"framing/duplicate-size", Level::framing, nothing, "the size key twice, the right size last",
     "5: duplicate keys, where the last value counts", last_wins, duplicate_size},
    {"framing/duplicate-bad-size", Level::framing, nothing, "the size key twice, a text first",
     "5: a bad value that is overridden does no harm", last_wins, duplicate_bad_size},
    {"framing/duplicate-name", Level::framing, nothing, "method and id, or file_name, twice",
     "5: duplicate keys, where the last value counts", last_wins, duplicate_name},
    {"framing/big-header", Level::framing, nothing, "a header of 60,000 bytes", "1: N = 2 .. max_header, 1 MiB",
     "one recv(header_len) gives only a part of a long header: loop until header_len bytes are there", big_header},
    {"framing/largest-header", Level::framing, nothing, "a header just below 1 MiB (a refusal is a warning)",
     "1: N = 2 .. max_header, 1,048,576 unless configured", "refuse with -32600 what is above your own limit",
     largest_header},
};

}  // namespace

std::span<const ServerCase> json_cases() { return all_json_cases; }

}  // namespace framecall::cli::check
