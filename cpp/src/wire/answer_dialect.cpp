#include "wire/answer_dialect.hpp"

#include <algorithm>

namespace framecall {

Dialect answer_dialect(const Dialect& dialect) {
  Dialect reading = dialect;
  reading.lines = true;
  reading.words.clear();
  reading.operation_keys.clear();
  reading.size_keys.clear();
  reading.checksum_place = Dialect::ChecksumPlace::none;
  return reading;
}

void expect_body(Dialect& reading, const Dialect& dialect, AnswerBody body) {
  reading.size_keys.clear();
  if (body != AnswerBody::none) {
    reading.size_keys = dialect.size_keys;
    const auto& keys = reading.size_keys;
    if (!dialect.command_size_key.empty() &&
        std::find(keys.begin(), keys.end(), dialect.command_size_key) == keys.end()) {
      reading.size_keys.push_back(dialect.command_size_key);
    }
  }
  reading.checksum_place = body == AnswerBody::file ? dialect.checksum_place : Dialect::ChecksumPlace::none;
}

}  // namespace framecall
