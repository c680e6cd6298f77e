#include "wire/dialect_checksum.hpp"

#include <gtest/gtest.h>

#include <string>

namespace framecall::dialect_checksum_test {
namespace {

const std::string md5 = "5d41402abc4b2a76b9719d911017c592";

TEST(DialectChecksum, compares_in_either_case_and_knows_what_is_none) {
  EXPECT_EQ(compare_checksums(md5, md5), ChecksumMatch::equal);
  EXPECT_EQ(compare_checksums("5D41402ABC4B2A76B9719D911017C592", md5), ChecksumMatch::equal);
  EXPECT_EQ(compare_checksums("", md5), ChecksumMatch::absent);
  EXPECT_EQ(compare_checksums("md5 of the file", md5), ChecksumMatch::no_md5);
  EXPECT_EQ(compare_checksums(md5.substr(1), md5), ChecksumMatch::no_md5);
  EXPECT_EQ(compare_checksums("6" + md5.substr(1), md5), ChecksumMatch::different);
}

TEST(DialectChecksum, is_looked_at_where_there_is_a_place_for_it_and_it_is_not_off) {
  Dialect dialect;
  EXPECT_FALSE(checks_files(dialect));
  dialect.checksum_place = Dialect::ChecksumPlace::trailer;
  dialect.checksum_check = Dialect::ChecksumCheck::reject;
  EXPECT_TRUE(checks_files(dialect));
  dialect.checksum_check = Dialect::ChecksumCheck::off;
  EXPECT_FALSE(checks_files(dialect));
}

}  // namespace
}  // namespace framecall::dialect_checksum_test
