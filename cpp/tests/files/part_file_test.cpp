#include "files/part_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <system_error>

#include "support/temporary_folder.hpp"

namespace framecall::part_file_test {
namespace {

namespace fs = std::filesystem;

std::ptrdiff_t count_in(const TemporaryFolder& folder) {
  return std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator());
}

TEST(PartFile, has_its_name_only_when_it_is_whole) {
  const TemporaryFolder folder;
  make_file(folder / "a", "the old one, which is longer");
  PartFile file(folder / "a");
  file.write("new");
  file.write("");
  file.write(" one");
  EXPECT_EQ(content_of(folder / "a"), "the old one, which is longer");
  file.publish();
  EXPECT_EQ(content_of(folder / "a"), "new one");
  EXPECT_EQ(count_in(folder), 1);
}

TEST(PartFile, leaves_nothing_behind_if_it_is_not_published) {
  const TemporaryFolder folder;
  {
    PartFile file(folder / "a");
    file.write("half");
    EXPECT_EQ(count_in(folder), 1) << "it grows beside its place";
  }
  EXPECT_EQ(count_in(folder), 0);
}

TEST(PartFile, many_of_one_name_do_not_disturb_each_other) {
  const TemporaryFolder folder;
  PartFile first(folder / "a"), second(folder / "a");
  first.write("first");
  second.write("second");
  second.publish();
  EXPECT_EQ(content_of(folder / "a"), "second");
  first.publish();
  EXPECT_EQ(content_of(folder / "a"), "first");
}

TEST(PartFile, a_link_under_its_name_is_replaced_and_not_written_through) {
  const TemporaryFolder folder, outside;
  make_file(outside / "victim", "untouched");
  fs::create_symlink(outside / "victim", folder / "link");
  fs::create_directory_symlink(outside.path(), folder / "to_folder");
  for (const char* name : {"link", "to_folder"}) {
    PartFile file(folder / name);
    file.write("content");
    file.publish();
    EXPECT_TRUE(fs::is_regular_file(fs::symlink_status(folder / name))) << name;
  }
  EXPECT_EQ(content_of(outside / "victim"), "untouched");
}

// The text of what it throws.
std::string problem(const fs::path& target) {
  try {
    PartFile file(target);
    file.publish();
  } catch (const std::system_error& error) {
    return error.what();
  }
  return "nothing";
}

TEST(PartFile, a_folder_is_kept_and_errors_name_the_file) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "inner");
  EXPECT_EQ(problem(folder / "inner"), (folder / "inner").string() + ": Is a directory");
  EXPECT_EQ(problem(folder / "x/"), (folder / "x/").string() + ": Is a directory");
  EXPECT_EQ(problem(folder / "missing/x"), (folder / "missing/x").string() + ": No such file or directory");
  {
    PartFile file(folder / "late");
    fs::create_directory(folder / "late");
    EXPECT_THROW(file.publish(), std::system_error);
  }
  EXPECT_EQ(count_in(folder), 2) << "both folders, and no part";
}

TEST(PartFile, has_the_mode_that_the_umask_leaves) {
  const TemporaryFolder folder;
  const mode_t before = ::umask(027);
  PartFile file(folder / "a");
  file.publish();
  ::umask(before);
  EXPECT_EQ(fs::status(folder / "a").permissions(), fs::perms(0640));
}

}  // namespace
}  // namespace framecall::part_file_test
