#include "framecall/error.hpp"

#include <array>
#include <cerrno>

#include "framecall/detail/json_text.hpp"

namespace framecall {

std::string_view status_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::parse_error:
    case ErrorCode::invalid_request:
    case ErrorCode::method_not_found:
    case ErrorCode::invalid_params:
    case ErrorCode::internal_error: return {};
    case ErrorCode::cancelled: return "CANCELLED";
    case ErrorCode::deadline_exceeded: return "DEADLINE_EXCEEDED";
    case ErrorCode::not_found: return "NOT_FOUND";
    case ErrorCode::already_exists: return "ALREADY_EXISTS";
    case ErrorCode::permission_denied: return "PERMISSION_DENIED";
    case ErrorCode::resource_exhausted: return "RESOURCE_EXHAUSTED";
    case ErrorCode::failed_precondition: return "FAILED_PRECONDITION";
    case ErrorCode::aborted: return "ABORTED";
    case ErrorCode::out_of_range: return "OUT_OF_RANGE";
    case ErrorCode::unavailable: return "UNAVAILABLE";
    case ErrorCode::data_loss: return "DATA_LOSS";
    case ErrorCode::unauthenticated: return "UNAUTHENTICATED";
  }
  return {};
}

ErrorCode error_code_of(int errno_value) {
  switch (errno_value) {
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EFBIG: return ErrorCode::resource_exhausted;
    case EACCES:
    case EPERM:
    case EROFS: return ErrorCode::permission_denied;
    case ENOENT:
    case ENOTDIR: return ErrorCode::not_found;
    case EEXIST: return ErrorCode::already_exists;
    case EISDIR:
    case ENOTEMPTY: return ErrorCode::failed_precondition;
    case ENAMETOOLONG: return ErrorCode::invalid_params;
    default: return ErrorCode::internal_error;
  }
}

std::string limit_data(std::uint64_t limit, std::uint64_t got) {
  return std::string("{\"limit\": ").append(std::to_string(limit)).append(", \"got\": ").append(std::to_string(got)) +
         "}";
}

namespace {

// C0 and C1 control characters, DEL, line and paragraph separators, and what turns the direction of text around.
bool is_control(char32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || (c >= 0x202a && c <= 0x202e) ||
         (c >= 0x2066 && c <= 0x2069) || c == 0x200e || c == 0x200f || c == 0x061c || c == 0xfeff;
}

void append_byte_escape(std::string& out, char byte) {
  constexpr char hex[] = "0123456789abcdef";
  const auto value = static_cast<unsigned char>(byte);
  out += {'\\', 'x', hex[value >> 4], hex[value & 15]};
}

std::string cut_and_escaped(std::string_view text, std::size_t max_size, bool controls) {
  std::string out;
  const char* at = text.data();
  const char* const end = at + text.size();
  const char* const limit = text.size() > max_size ? at + max_size : end;
  while (at < limit) {
    char32_t c = 0;
    const int size = decode_utf8(at, end, c, false);
    if (size > limit - at) break;
    if (size == 0) {
      append_byte_escape(out, *at++);
    } else if (controls && is_control(c)) {
      for (int i = 0; i < size; ++i) append_byte_escape(out, *at++);
    } else {
      out.append(at, static_cast<std::size_t>(size));
      at += size;
    }
  }
  if (at < end) out += "...";
  return out;
}

}  // namespace

std::string printable(std::string_view text, std::size_t max_size) { return cut_and_escaped(text, max_size, true); }

std::string message_text(std::string_view text, std::size_t max_size) { return cut_and_escaped(text, max_size, false); }

}  // namespace framecall
