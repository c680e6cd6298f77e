// What a FileStore is told, and what it takes as a name.
#pragma once

#include <cstdint>
#include <string_view>

namespace framecall {

/// How far a file is pushed to the disk before it gets its name.
enum class Durability : std::uint8_t {
  none,   ///< not at all: a kill loses nothing, a power cut may leave an empty or short file under the name
  close,  ///< the file is flushed (fsync): whatever stands under the name is whole, whatever happens
  full,   ///< the file and the folder are flushed: a file that was published stays
};

/// Why `name` is not one plain path component; null if it is one: 1 to 255 bytes of UTF-8, not `.`, `..` or `.framecall`,
/// without `/`, `\`, control characters and a drive prefix (`C:x`). PROTOCOL.md, section 3.
const char* fault_of_file_name(std::string_view name);
/// Throws CallError(invalid_params) with the fault, if there is one.
void check_file_name(std::string_view name);

}  // namespace framecall
