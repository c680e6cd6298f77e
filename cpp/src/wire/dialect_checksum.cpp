#include "wire/dialect_checksum.hpp"

#include <algorithm>

namespace framecall {

bool checks_files(const Dialect& dialect) {
  return dialect.checksum_place != Dialect::ChecksumPlace::none &&
         dialect.checksum_check != Dialect::ChecksumCheck::off;
}

bool is_md5(std::string_view text) {
  return text.size() == checksum_size && text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

ChecksumMatch compare_checksums(std::string_view announced, std::string_view actual) {
  if (announced.empty()) return ChecksumMatch::absent;
  if (!is_md5(announced)) return ChecksumMatch::no_md5;
  const bool equal = std::equal(announced.begin(), announced.end(), actual.begin(), actual.end(),
                                [](char x, char y) { return (x | 0x20) == (y | 0x20); });
  return equal ? ChecksumMatch::equal : ChecksumMatch::different;
}

}  // namespace framecall
