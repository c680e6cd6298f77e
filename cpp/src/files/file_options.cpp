#include "framecall/file_options.hpp"

#include <pwd.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <system_error>

#include "framecall/detail/json_text.hpp"
#include "framecall/error.hpp"

namespace framecall {
namespace {

constexpr std::size_t max_name_size = 255;

std::filesystem::path resolved(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::weakly_canonical(path, ignored);
}

// As the environment says, and as the system knows it.
std::vector<std::filesystem::path> home_folders() {
  std::vector<std::filesystem::path> homes;
  if (const char* const home = std::getenv("HOME")) homes.emplace_back(home);
  passwd entry{}, *found = nullptr;
  std::array<char, 16384> text;
  if (::getpwuid_r(::geteuid(), &entry, text.data(), text.size(), &found) == 0 && found != nullptr) {
    homes.emplace_back(found->pw_dir);
  }
  return homes;
}

}  // namespace

Access Access::named(const std::vector<std::string>& words) {
  Access access{false, false, true, true};
  for (const std::string& word : words) {
    if (word == "read") {
      access.read = true;
    } else if (word == "write") {
      access.write = true;
    } else if (word == "no-replace") {
      access.replace = false;
    } else if (word == "no-remove") {
      access.remove = false;
    } else {
      throw std::invalid_argument("access: expected read, write, no-replace, no-remove, got \"" + printable(word, 40) +
                                  "\"");
    }
  }
  if (!access.read && !access.write) access.read = access.write = true;
  return access;
}

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

std::string risk_of_root(const std::filesystem::path& root, const std::vector<std::filesystem::path>& programs) {
  const std::filesystem::path folder = resolved(root);
  if (folder == folder.root_path()) return "is the root of the file system";
  for (const std::filesystem::path& home : home_folders()) {
    if (folder == resolved(home)) return "is a home folder";
  }
  for (const std::filesystem::path& program : programs) {
    const std::filesystem::path file = resolved(program);
    if (folder == file) return "is a folder that this program loads code from";
    if (folder == file.parent_path()) return "holds the running program " + printable(file.string());
  }
  return {};
}

}  // namespace framecall
