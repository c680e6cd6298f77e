// The MD5 of files in a dialect: whether it is looked at, and what a difference means. The same rule for both sides.
#pragma once

#include <cstdint>
#include <string_view>

#include "framecall/wire/dialect.hpp"

namespace framecall {

/// Whether files of this dialect are compared with a checksum.
bool checks_files(const Dialect& dialect);

enum class ChecksumMatch : std::uint8_t {
  equal,
  absent,  ///< none was announced
  no_md5,  ///< not 32 hexadecimal digits: many lessons send a constant, which says nothing
  different,
};
/// `actual`: 32 lower-case hexadecimal digits.
ChecksumMatch compare_checksums(std::string_view announced, std::string_view actual);
/// Whether a text can be an MD5 at all.
bool is_md5(std::string_view text);

}  // namespace framecall
