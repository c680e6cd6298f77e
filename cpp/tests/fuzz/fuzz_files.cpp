// Any text as a dialect file, a users file or a table of commands: taken, or refused with an error that names the source. A
// dialect that is taken can write a refusal, and reads the same text as a stream in one piece and in two.
//
//   byte 0             which of the three
//   the rest           the text
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <stdexcept>

#include "framecall/command_table.hpp"
#include "framecall/users.hpp"
#include "framecall/wire/dialect_file.hpp"
#include "support/decoding.hpp"

namespace {

using namespace framecall;

// A file of this content, by a name.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view text) : file_(::memfd_create("text", 0)) {
    if (file_ < 0 || ::write(file_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) std::abort();
  }
  MemoryFile(const MemoryFile&) = delete;
  ~MemoryFile() { ::close(file_); }
  std::string path() const { return "/proc/self/fd/" + std::to_string(file_); }

 private:
  int file_;
};

void read_dialect(std::string_view text) {
  const Dialect dialect = parse_dialect(text, "mine.toml");
  encode_prefix(200, dialect.prefixes.front());  // a short refusal
  const std::size_t half = text.size() / 2;
  const Outcome whole = decode(text, {}, Way::feed, true, 4096, dialect);
  const Outcome pieces = decode(text, {&half, 1}, Way::feed, true, 4096, dialect);
  if (whole.messages.size() == pieces.messages.size()) return;
  if (dialect.lines || dialect.prefixes.size() > 1) return;  // these depend on what came at once
  std::cerr << "in one piece:\n" << whole << "\nin pieces:\n" << pieces << "\n";
  std::abort();
}

void read_users(std::string_view text) {
  const MemoryFile file(text);
  const Users users((std::filesystem::path(file.path())));
  Users changed = users;
  changed.remove("ann");
  if (changed.size() > users.size()) std::abort();
}

void read_commands(std::string_view text) {
  const MemoryFile file(text);
  const CommandTable table((std::filesystem::path(file.path())));
  table.has(text);
  table.has("motd");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  // toml++ 3.3 calls a letter such as é outside of a string unreachable code.
  const bool ascii = std::all_of(text.begin(), text.end(), [](char c) { return c >= 0; });
  if (data[0] % 3 != 1 && !ascii) return 0;
  try {
    switch (data[0] % 3) {
      case 0: read_dialect(text); break;
      case 1: read_users(text); break;
      case 2: read_commands(text); break;
    }
  } catch (const std::invalid_argument& error) {
    const std::string_view said = error.what();
    if (said.find(data[0] % 3 == 0 ? "mine.toml" : "/proc/self/fd/") != std::string_view::npos) return 0;
    std::cerr << "an error that names no source: " << said << "\n";
    std::abort();
  }
  return 0;
}
