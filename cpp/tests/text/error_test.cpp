#include "framecall/error.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <map>
#include <string>
#include <system_error>

namespace framecall::error_test {
namespace {

template <class Thrown>
std::string caught(const Thrown& thrown) {
  try {
    throw thrown;
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(Error, every_exception_has_one_base_and_is_the_standard_one_that_fits) {
  EXPECT_EQ(caught(CallError(ErrorCode::not_found, "no user")), "no user");
  EXPECT_EQ(caught(RemoteError(-32045, "no user", "")), "no user");
  EXPECT_EQ(caught(ProtocolError(ErrorCode::parse_error, 3, "no JSON")), "no JSON");
  const UnavailableError lost(ECONNRESET, std::generic_category(), "UNAVAILABLE: a:1");
  EXPECT_NE(caught(lost).find("UNAVAILABLE: a:1"), std::string::npos);
  EXPECT_THROW(throw UnavailableError(lost), SystemError);
  EXPECT_THROW(throw UnavailableError(lost), std::system_error);
  EXPECT_THROW(throw CallError(ErrorCode::not_found, ""), std::runtime_error);
}

TEST(Error, an_error_of_the_server_says_whether_to_try_again) {
  const RemoteError late(static_cast<std::int64_t>(ErrorCode::unavailable), "draining", "");
  EXPECT_TRUE(late.is(ErrorCode::unavailable) && late.retryable());
  const RemoteError unknown(static_cast<std::int64_t>(ErrorCode::not_found), "no user", "");
  EXPECT_FALSE(unknown.is(ErrorCode::unavailable) || unknown.retryable());
}

TEST(Error, the_codes_of_conditions_are_32040_below_those_of_grpc) {
  const std::map<int, std::string> statuses = {
      {1, "CANCELLED"},           {4, "DEADLINE_EXCEEDED"},  {5, "NOT_FOUND"},  {6, "ALREADY_EXISTS"},
      {7, "PERMISSION_DENIED"},   {8, "RESOURCE_EXHAUSTED"}, {10, "ABORTED"},   {11, "OUT_OF_RANGE"},
      {9, "FAILED_PRECONDITION"}, {14, "UNAVAILABLE"},       {15, "DATA_LOSS"}, {16, "UNAUTHENTICATED"}};
  for (int g = 0; g < 20; ++g) {
    const auto status = statuses.find(g);
    EXPECT_EQ(status_name(static_cast<ErrorCode>(-32040 - g)), status == statuses.end() ? "" : status->second) << g;
  }
  for (int code : {-32700, -32600, -32601, -32602, -32603, 0, 1}) {
    EXPECT_EQ(status_name(static_cast<ErrorCode>(code)), "") << code;
  }
}

TEST(Error, an_errno_becomes_what_the_caller_can_do_about_it) {
  const std::map<int, ErrorCode> codes = {{ENOSPC, ErrorCode::resource_exhausted},
                                          {EDQUOT, ErrorCode::resource_exhausted},
                                          {EMFILE, ErrorCode::resource_exhausted},
                                          {ENFILE, ErrorCode::resource_exhausted},
                                          {ENOMEM, ErrorCode::resource_exhausted},
                                          {EFBIG, ErrorCode::resource_exhausted},
                                          {EACCES, ErrorCode::permission_denied},
                                          {EPERM, ErrorCode::permission_denied},
                                          {EROFS, ErrorCode::permission_denied},
                                          {ENOENT, ErrorCode::not_found},
                                          {ENOTDIR, ErrorCode::not_found},
                                          {EEXIST, ErrorCode::already_exists},
                                          {EISDIR, ErrorCode::failed_precondition},
                                          {ENOTEMPTY, ErrorCode::failed_precondition},
                                          {ENAMETOOLONG, ErrorCode::invalid_params},
                                          {EIO, ErrorCode::internal_error},
                                          {0, ErrorCode::internal_error}};
  for (const auto& [value, code] : codes) EXPECT_EQ(error_code_of(value), code) << value;
}

TEST(Error, exceptions_carry_what_they_were_given) {
  const ProtocolError protocol(ErrorCode::data_loss, 1ull << 40, "gone");
  EXPECT_EQ(protocol.code(), ErrorCode::data_loss);
  EXPECT_EQ(protocol.offset(), 1ull << 40);
  EXPECT_STREQ(protocol.what(), "gone");
  const CallError call(ErrorCode::not_found, "no file", "{\"name\": 1}");
  EXPECT_EQ(call.code(), ErrorCode::not_found);
  EXPECT_EQ(call.data(), "{\"name\": 1}");
  EXPECT_EQ(CallError(ErrorCode::not_found, "").data(), "");
  const RemoteError remote(std::int64_t{1} << 50, "theirs", "[]");
  EXPECT_EQ(remote.code(), std::int64_t{1} << 50);
  EXPECT_EQ(remote.data(), "[]");
  EXPECT_STREQ(remote.what(), "theirs");
}

TEST(Printable, text_is_made_fit_for_a_log_line) {
  const struct {
    std::string_view text, printed;
  } rows[] = {
      {"", ""},
      {"plain text, \"quotes\" and \\ as they are", "plain text, \"quotes\" and \\ as they are"},
      {"你好 \u00e9 \U0001f600", "你好 \u00e9 \U0001f600"},
      {"a\nb\r\t\x1b[31m", R"(a\x0ab\x0d\x09\x1b[31m)"},
      {std::string_view("\0\x1f\x7f", 3), R"(\x00\x1f\x7f)"},
      {"\u0080\u009f\u00a0", "\\xc2\\x80\\xc2\\x9f\u00a0"},  // C1 controls, then a blank
      {"\u2028\u2029", R"(\xe2\x80\xa8\xe2\x80\xa9)"},       // line separators
      {"\u202e\u2066\u200e\u200f\u061c",
       R"(\xe2\x80\xae\xe2\x81\xa6\xe2\x80\x8e\xe2\x80\x8f\xd8\x9c)"},  // right to left
      {"\ufeff", R"(\xef\xbb\xbf)"},
      {"\u2027\u202f\u2065\u206a\u00ad", "\u2027\u202f\u2065\u206a\u00ad"},  // the neighbours
      {"\x80\xc0\x80\xff", R"(\x80\xc0\x80\xff)"},
      {"caf\xe9", R"(caf\xe9)"},
      {"\xed\xa0\x80", R"(\xed\xa0\x80)"},  // a lone surrogate
      {"\xe4\xbd", R"(\xe4\xbd)"},          // a cut character
      {"\xf4\x90\x80\x80", R"(\xf4\x90\x80\x80)"},
  };
  for (const auto& row : rows) EXPECT_EQ(printable(row.text), row.printed);
}

TEST(Printable, long_text_is_cut_between_characters) {
  const struct {
    std::string_view text;
    std::size_t max_size;
    std::string_view printed;
  } rows[] = {
      {"abcd", 4, "abcd"},
      {"abcde", 4, "abcd..."},
      {"abcd", 0, "..."},
      {"", 0, ""},
      {"ab你", 5, "ab你"},
      {"ab你", 4, "ab..."},
      {"ab你c", 5, "ab你..."},
      {"\U0001f600", 3, "..."},
      {"a\u2028", 3, "a..."},
      {"ab\xff\xff", 3, "ab\\xff..."},
      {"ab\xe4\xbd", 3, "ab\\xe4..."},
  };
  for (const auto& row : rows) EXPECT_EQ(printable(row.text, row.max_size), row.printed) << row.text;
  EXPECT_EQ(printable(std::string(200, 'x')), std::string(200, 'x'));
  EXPECT_EQ(printable(std::string(201, 'x')), std::string(200, 'x') + "...");
}

TEST(Printable, the_message_of_an_error_keeps_its_control_characters) {
  EXPECT_EQ(message_text("a\nb\r\t\x1b[31m \u2028\u202e"), "a\nb\r\t\x1b[31m \u2028\u202e");
  EXPECT_EQ(message_text(std::string_view("\0\x7f", 2)), std::string_view("\0\x7f", 2));
  EXPECT_EQ(message_text("caf\xe9 \xed\xa0\x80"), R"(caf\xe9 \xed\xa0\x80)");
  EXPECT_EQ(message_text("ab\u2028", 4), "ab...");
}

}  // namespace
}  // namespace framecall::error_test
