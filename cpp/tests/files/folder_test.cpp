#include "files/folder.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <map>
#include <string>
#include <system_error>
#include <utility>

#include "support/temporary_folder.hpp"

namespace framecall::folder_test {
namespace {

namespace fs = std::filesystem;

Descriptor open(const fs::path& path, int flags = O_RDONLY) {
  return Descriptor(::open(path.c_str(), flags | O_CLOEXEC));
}

TEST(Folder, a_descriptor_is_closed_once_by_its_last_owner) {
  const TemporaryFolder folder;
  const auto is_open = [](int descriptor) { return ::fcntl(descriptor, F_GETFD) >= 0; };
  Descriptor first = open(folder.path());
  const int number = first.get();
  {
    const Descriptor second(std::move(first));
    EXPECT_FALSE(first);
    EXPECT_TRUE(is_open(number));
  }
  EXPECT_FALSE(is_open(number));
  Descriptor third = open(folder.path());
  const int released = third.release();
  third = Descriptor();
  EXPECT_TRUE(is_open(released));
  ::close(released);
}

TEST(Folder, is_not_opened_through_a_link) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "real");
  fs::create_directory_symlink(folder / "real", folder / "link");
  make_file(folder / "file", "");
  const Descriptor parent = open(folder.path());
  EXPECT_TRUE(open_folder(parent.get(), "real"));
  for (const char* name : {"link", "file", "missing"}) EXPECT_FALSE(open_folder(parent.get(), name)) << name;
}

std::map<std::string, unsigned char> entries(int folder) {
  std::map<std::string, unsigned char> all;
  for_each_entry(folder, [&](const char* name, unsigned char type) { all[name] = type; });
  return all;
}

TEST(Folder, every_entry_is_visited_each_time) {
  const TemporaryFolder folder;
  make_file(folder / "file", "");
  make_file(folder / ".hidden", "");
  fs::create_directory(folder / "inner");
  fs::create_symlink("nowhere", folder / "link");
  const Descriptor descriptor = open(folder.path());
  for (int times = 0; times < 2; ++times) {
    const auto all = entries(descriptor.get());
    ASSERT_EQ(all.size(), 4u);
    EXPECT_TRUE(all.at("link") == DT_LNK || all.at("link") == DT_UNKNOWN);
    EXPECT_TRUE(all.at(".hidden") == DT_REG || all.at(".hidden") == DT_UNKNOWN);
  }
}

TEST(Folder, one_that_is_gone_is_an_error_and_not_empty) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "gone");
  const Descriptor descriptor = open(folder / "gone");
  EXPECT_TRUE(entries(descriptor.get()).empty());
  fs::remove(folder / "gone");
  EXPECT_THROW(entries(descriptor.get()), std::system_error);
  EXPECT_THROW(entries(-1), std::system_error);
}

TEST(Folder, what_a_visit_throws_ends_it) {
  const TemporaryFolder folder;
  for (const char* name : {"a", "b", "c"}) make_file(folder / name, "");
  const Descriptor descriptor = open(folder.path());
  int visits = 0;
  const auto visit = [&](const char*, unsigned char) {
    ++visits;
    throw std::runtime_error("enough");
  };
  EXPECT_THROW(for_each_entry(descriptor.get(), visit), std::runtime_error);
  EXPECT_EQ(visits, 1);
}

TEST(Folder, what_cannot_be_looked_at_is_never_taken_for_absent) {
  const TemporaryFolder folder;
  make_file(folder / "file", "123");
  fs::create_symlink("file", folder / "link");
  fs::create_directory(folder / "inner");
  const Descriptor descriptor = open(folder.path()), file = open(folder / "file");
  EXPECT_FALSE(status_in(descriptor.get(), "missing"));
  EXPECT_EQ(status_in(descriptor.get(), "file")->st_size, 3);
  EXPECT_TRUE(S_ISLNK(status_in(descriptor.get(), "link")->st_mode));
  EXPECT_THROW(status_in(file.get(), "x"), std::system_error);
  EXPECT_THROW(status_in(descriptor.get(), std::string(1000, 'n').c_str()), std::system_error);
  EXPECT_TRUE(file_status_in(descriptor.get(), "file"));
  for (const char* name : {"link", "inner", "missing"}) EXPECT_FALSE(file_status_in(descriptor.get(), name)) << name;
}

TEST(Folder, a_flush_succeeds_where_there_is_nothing_to_flush) {
  const TemporaryFolder folder;
  EXPECT_TRUE(flush(open(folder.path()).get()));
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const Descriptor reader(ends[0]), writer(ends[1]);
  EXPECT_TRUE(flush(writer.get()));
  EXPECT_FALSE(flush(-1));
  EXPECT_EQ(errno, EBADF);
}

}  // namespace
}  // namespace framecall::folder_test
