#include "framecall/file_options.hpp"

#include <cstddef>
#include <string>

#include "framecall/error.hpp"
#include "framecall/json_text.hpp"

namespace framecall {
namespace {

constexpr std::size_t max_name_size = 255;

}  // namespace

const char* fault_of_file_name(std::string_view name) {
  if (name.empty()) return "is empty";
  if (name.size() > max_name_size) return "is longer than 255 bytes";
  if (name == "." || name == "..") return "is a folder";
  if (name == ".framecall") return "is reserved";
  const char* at = name.data();
  const char* const end = at + name.size();
  while (at < end) {
    char32_t c = 0;
    const int size = decode_utf8(at, end, c, false);
    if (size == 0) return "is not UTF-8";
    if (c == '/' || c == '\\') return "has a / or \\; it must be one plain name";
    if (c < 0x20 || (c >= 0x7f && c < 0xa0)) return "has a control character";
    at += size;
  }
  const bool letter = (name[0] >= 'a' && name[0] <= 'z') || (name[0] >= 'A' && name[0] <= 'Z');
  return letter && name.size() > 1 && name[1] == ':' ? "has a drive prefix" : nullptr;
}

void check_file_name(std::string_view name) {
  if (const char* const why = fault_of_file_name(name)) {
    throw CallError(ErrorCode::invalid_params, "file name \"" + printable(name) + "\": " + why);
  }
}

}  // namespace framecall
