// What a FileStore is told, and what it takes as a name.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace framecall {

/// How far a file is pushed to the disk before it gets its name.
enum class Durability : std::uint8_t {
  none,   ///< not at all: a kill loses nothing, a power cut may leave an empty or short file under the name
  close,  ///< the file is flushed (fsync): whatever stands under the name is whole, whatever happens
  full,   ///< the file and the folder are flushed: a file that was published stays
};

/// What peers may do with the files of a root.
struct Access {
  bool read = true;     ///< get, list, stat
  bool write = true;    ///< upload, put, remove
  bool replace = true;  ///< a file under the name of an older one
  bool remove = true;

  /// Of the words `read`, `write`, `no-replace`, `no-remove`. With neither read nor write both are meant. Throws
  /// std::invalid_argument for another word.
  static Access named(const std::vector<std::string>& words);
};

struct FileStoreOptions {
  Durability durability = Durability::close;
  Access access;
  /// Bytes of all files, parts and unfinished uploads together, also of those of other servers of the root that have a quota.
  std::uint64_t quota = std::uint64_t{INT64_MAX};
};

/// Why `name` is not one plain path component; null if it is one: 1 to 255 bytes of UTF-8, not `.`, `..` or `.framecall`,
/// without `/`, `\`, control characters and a drive prefix (`C:x`). PROTOCOL.md, section 3.
const char* fault_of_file_name(std::string_view name);
/// Throws CallError(invalid_params) with the fault, if there is one.
void check_file_name(std::string_view name);

/// Why peers should not be able to write to this folder: it is `/`, a home folder, or one that holds or loads a program of
/// `programs` (a file, or a folder that code is loaded from). Empty: nothing is known against it.
std::string risk_of_root(const std::filesystem::path& root, const std::vector<std::filesystem::path>& programs);

}  // namespace framecall
