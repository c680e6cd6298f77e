// The cases of the level `robust` about frames that are none: the answer, and the end of the connection.
#include <cstdint>

#include "check/trial.hpp"

namespace framecall::cli::check {
namespace {

constexpr const char* as_soon = "6: refusal -32600, as soon as the four bytes are there";
constexpr const char* check_length =
    "check 2 <= length <= max_header right behind struct.unpack, before you read or allocate";

void length_zero(ServerTrial& trial) {
  if (trial.dialect().zero_prefix != Dialect::ZeroPrefix::refuse)
    throw Skip{"a length of 0 has a meaning in the dialect"};
  trial.refuses(trial.prefix_of(0), {-32600}, "the length 0");
}
void length_one(ServerTrial& trial) { trial.refuses(trial.prefix_of(1) + "{", {-32600}, "the length 1"); }
void length_negative(ServerTrial& trial) {
  trial.refuses(prefix_of(-1), {-32600}, "the length -1");
  trial.refuses(prefix_of(INT32_MIN) + "{}", {-32600}, "the length -2^31");
}
void length_huge(ServerTrial& trial) {
  trial.refuses(prefix_of(INT32_MAX), {-32600}, "the length 2^31 - 1");
  trial.refuses(prefix_of(1 << 24) + "{", {-32600}, "the length 2^24");
}
void length_big_endian(ServerTrial& trial) {
  for (const Message& message : trial.samples()) {
    const std::string prefix = prefix_of(static_cast<std::int64_t>(message.header.size()));
    trial.refuses(std::string(prefix.rbegin(), prefix.rend()) + message.header + message.body, {-32600},
                  "a big-endian length");
  }
}

void refuses_headers(ServerTrial& trial, std::initializer_list<const char*> headers, int code) {
  for (const std::string_view header : headers)
    trial.refuses(trial.head_of(header), {code}, "the header " + escaped(header, 60));
}

void not_json(ServerTrial& trial) {
  refuses_headers(trial,
                  {"hello", "{\"id\": 1", "{'id': 1}", "{\"id\": 1,}", "{\"id\": 1} x", "{\"id\": 1 /* */}", "    "},
                  -32700);
}
void bad_numbers(ServerTrial& trial) {
  refuses_headers(trial, {"{\"x\": 01}", "{\"x\": +1}", "{\"x\": 1.}", "{\"x\": .5}", "{\"x\": 0x1}", "{\"x\": -NaN}"},
                  -32700);
}
void bad_strings(ServerTrial& trial) {
  refuses_headers(trial, {"{\"x\": \"a\nb\"}", "{\"x\": \"\\x41\"}", "{\"x\": \"\\u12g4\"}", "{\"x\": \"a}"}, -32700);
}
void not_object(ServerTrial& trial) {
  refuses_headers(trial, {"[]", "\"file_name\"", "12", "null", "true", "[{\"file_name\": \"a\", \"file_size\": 0}]"},
                  -32600);
}
void no_kind(ServerTrial& trial) { refuses_headers(trial, {"{}", R"({"hello": "world"})"}, -32600); }
void not_utf8(ServerTrial& trial) {
  refuses_headers(
      trial, {"{\"x\": \"\xff\xfe\"}", "{\"x\": \"\xc0\xaf\"}", "{\"x\": \"\xed\xa0\x80\"}", "{\"x\": \"\xe4\xbd\"}"},
      -32700);
}
void byte_order_mark(ServerTrial& trial) {
  if (trial.dialect().byte_order_mark) throw Skip{"the dialect takes a byte order mark"};
  for (const Message& message : trial.samples()) {
    trial.refuses(trial.head_of("\xef\xbb\xbf" + message.header) + message.body, {-32700}, "a byte order mark");
  }
}
void nul_behind(ServerTrial& trial) {
  for (const Message& message : trial.samples()) {
    trial.refuses(trial.head_of(message.header + std::string(1, '\0')) + message.body, {-32700},
                  "a NUL behind the object");
  }
}
void too_deep(ServerTrial& trial) {
  const std::string deep = "{\"x\": " + std::string(100000, '[') + std::string(100000, ']') + "}";
  trial.refuses(trial.head_of(deep), {-32700}, "100,001 levels of nesting");
  trial.goes_on();
}

void size_lie(ServerTrial& trial, std::initializer_list<const char*> sizes) {
  for (const char* size : sizes) {
    for (Message& message : trial.samples("")) {
      if (message.is_upload) {
        const std::size_t at = message.header.rfind("0}");
        message.header.replace(at, 1, size);
      } else {
        message.header.insert(message.header.size() - 1, std::string(", \"body_size\": ") + size);
      }
      const char* key = message.is_upload ? "file_size" : "body_size";
      trial.refuses(message.bytes() + "x", {-32600}, std::string(key).append(": ").append(size));
    }
  }
}
void size_bool(ServerTrial& trial) { size_lie(trial, {"true", "false"}); }
void size_real(ServerTrial& trial) { size_lie(trial, {"1.0", "1e2", "0.0", "NaN"}); }
void size_string(ServerTrial& trial) { size_lie(trial, {"\"12\"", "\"\""}); }
void size_null(ServerTrial& trial) { size_lie(trial, {"null", "[]", "{}"}); }
void size_negative(ServerTrial& trial) { size_lie(trial, {"-1", "-9223372036854775808"}); }
void size_beyond(ServerTrial& trial) {
  size_lie(trial, {"9223372036854775808", "18446744073709551616", "1000000000000000000000000000000"});
}

constexpr const char* size_rule = "1: a size is a JSON integer 0 .. 2^63 - 1; 6: a bad size is a refusal -32600";
constexpr const char* not_json_rule = "6: a header that is not UTF-8 or not JSON: refusal -32700";
constexpr const char* json_hint =
    "catch what json.loads and decode('utf-8') throw, answer -32700 with id null, and close";

constexpr ServerCase all_refusal_cases[] = {
    {"robust/length-zero", Level::robust, nothing, "a length of 0", as_soon, check_length, length_zero},
    {"robust/length-one", Level::robust, nothing, "a length of 1", as_soon, check_length, length_one},
    {"robust/length-negative", Level::robust, taught, "the lengths -1 and -2^31", as_soon,
     "the length is signed: check it is not below 2, before recv(length)", length_negative},
    {"robust/length-huge", Level::robust, taught, "the lengths 2^31 - 1 and 2^24, and nothing behind them", as_soon,
     "check the length before you allocate or wait for so many bytes", length_huge},
    {"robust/length-big-endian", Level::robust, taught, "a good frame with a big-endian length", as_soon, check_length,
     length_big_endian},
    {"robust/not-json", Level::robust, nothing, "headers that are no JSON", not_json_rule, json_hint, not_json},
    {"robust/bad-numbers", Level::robust, nothing, "01, +1, 1., .5, 0x1, -NaN", "5: refused with -32700", json_hint,
     bad_numbers},
    {"robust/bad-strings", Level::robust, nothing, "raw control characters, unknown escapes, an open string",
     "5: refused with -32700", json_hint, bad_strings},
    {"robust/not-object", Level::robust, nothing, "headers that are an array, a text, a number, null, true",
     "6: a header that is no object: refusal -32600", "isinstance(header, dict), before you look for keys", not_object},
    {"robust/no-kind", Level::robust, nothing, "objects that are neither call nor upload",
     "2: anything else is nothing: -32600", "header['file_name'] of a header without it must not end the program",
     no_kind},
    {"robust/not-utf8", Level::robust, nothing, "headers that are not UTF-8", not_json_rule,
     "decode('utf-8') with errors='strict', and catch UnicodeDecodeError", not_utf8},
    {"robust/byte-order-mark", Level::robust, nothing, "a byte order mark in front of the header",
     "5: refused with -32700", "decode('utf-8'), not 'utf-8-sig'; json.loads of bytes takes the mark, of str not",
     byte_order_mark},
    {"robust/nul-behind", Level::robust, nothing, "a NUL behind the object",
     "5: anything but white space behind the object", "do not strip NULs from the header", nul_behind},
    {"robust/too-deep", Level::robust, nothing, "100,001 levels of nesting", "5: deeper than 1,000 levels: -32700",
     "a recursive reader needs a limit; in Python catch RecursionError", too_deep},
    {"robust/size-bool", Level::robust, nothing, "sizes that are true and false", size_rule,
     "compare type(size) is int: True is an int in Python", size_bool},
    {"robust/size-real", Level::robust, nothing, "sizes that are 1.0, 1e2, 0.0, NaN", size_rule,
     "compare type(size) is int, do not convert with int()", size_real},
    {"robust/size-string", Level::robust, nothing, "sizes that are texts", size_rule,
     "compare type(size) is int, do not convert with int()", size_string},
    {"robust/size-null", Level::robust, nothing, "sizes that are null, a list, an object", size_rule,
     "header.get('body_size', 0) is None for null: compare type(size) is int", size_null},
    {"robust/size-negative", Level::robust, nothing, "sizes below 0", size_rule,
     "check size >= 0 before the loop that reads", size_negative},
    {"robust/size-beyond", Level::robust, nothing, "sizes of 2^63 and more", size_rule,
     "check size < 1 << 63: Python's integers have no end", size_beyond},
};

}  // namespace

std::span<const ServerCase> refusal_cases() { return all_refusal_cases; }

}  // namespace framecall::cli::check
