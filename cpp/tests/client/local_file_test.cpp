#include "client/local_file.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <string>

#include "framecall/wire/digest.hpp"
#include "support/temporary_folder.hpp"

namespace framecall::local_file_test {
namespace {

template <class Call>
int errno_of(Call call) {
  try {
    call();
  } catch (const std::filesystem::filesystem_error& error) {
    return error.code().value();
  }
  return 0;
}

TEST(LocalFile, writes_one_piece_after_the_other) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "f";
  LocalFile file(path, O_RDWR | O_CREAT);
  file.write("ab");
  file.write("");
  file.write(std::string(1 << 20, 'c'));
  EXPECT_EQ(file.status().st_size, (1 << 20) + 2);
  file.close();
  EXPECT_EQ(content_of(path), "ab" + std::string(1 << 20, 'c'));
}

TEST(LocalFile, its_failures_name_it_and_their_cause) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "f";
  try {
    const LocalFile file(path, O_RDONLY);
    FAIL();
  } catch (const std::filesystem::filesystem_error& error) {
    EXPECT_EQ(error.path1(), path);
    EXPECT_EQ(error.code().value(), ENOENT);
  }
  const LocalFile file(path, O_RDONLY | O_CREAT);
  EXPECT_EQ(errno_of([&] { file.write("x"); }), EBADF);
}

TEST(LocalFile, refuses_what_the_disk_has_no_room_for) {
  const TemporaryFolder folder;
  const LocalFile file(folder.path() / "f", O_RDWR | O_CREAT);
  EXPECT_EQ(errno_of([&] { file.check_room(1); }), 0);
  EXPECT_EQ(errno_of([&] { file.check_room(std::uint64_t{1} << 62); }), ENOSPC);
}

TEST(BackgroundHash, is_that_of_the_file_wherever_it_is_read) {
  const TemporaryFolder folder;
  const std::string content(3 << 20, 'h');
  const LocalFile file(folder.path() / "f", O_RDWR | O_CREAT);
  file.write(content);
  Digest whole(DigestKind::sha256);
  whole.update(content);
  EXPECT_EQ(BackgroundHash(file).get(), whole.finish());
  const BackgroundHash given_up(file);
}

TEST(BackgroundHash, is_empty_of_what_cannot_be_read) {
  const TemporaryFolder folder;
  const LocalFile file(folder.path(), O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(BackgroundHash(file).get(), "");
}

}  // namespace
}  // namespace framecall::local_file_test
