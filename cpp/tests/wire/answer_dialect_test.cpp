#include "wire/answer_dialect.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace framecall::answer_dialect_test {
namespace {

using Keys = std::vector<std::string>;

Dialect spoken() {
  Dialect dialect;
  dialect.lines = false;
  dialect.size_keys = {"file_size"};
  dialect.command_size_key = "data_size";
  dialect.checksum_place = Dialect::ChecksumPlace::trailer;
  return dialect;
}

TEST(AnswerDialect, reads_text_and_no_body_at_first) {
  const Dialect reading = answer_dialect(spoken());
  EXPECT_TRUE(reading.lines);
  EXPECT_TRUE(reading.size_keys.empty());
  EXPECT_EQ(reading.checksum_place, Dialect::ChecksumPlace::none);
}

TEST(AnswerDialect, reads_bodies_by_the_keys_of_files_and_of_commands) {
  const Dialect dialect = spoken();
  Dialect reading = answer_dialect(dialect);
  expect_body(reading, dialect, AnswerBody::body);
  EXPECT_EQ(reading.size_keys, (Keys{"file_size", "data_size"}));
  EXPECT_EQ(reading.checksum_place, Dialect::ChecksumPlace::none);
  expect_body(reading, dialect, AnswerBody::file);
  EXPECT_EQ(reading.size_keys, (Keys{"file_size", "data_size"})) << "not doubled";
  EXPECT_EQ(reading.checksum_place, Dialect::ChecksumPlace::trailer);
  expect_body(reading, dialect, AnswerBody::none);
  EXPECT_TRUE(reading.size_keys.empty());
}

}  // namespace
}  // namespace framecall::answer_dialect_test
