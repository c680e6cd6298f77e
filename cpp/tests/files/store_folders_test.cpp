// The private folders of a store; their contents belong to nobody else.
#include "files/store_folders.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <ctime>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>

#include "framecall/error.hpp"
#include "support/temporary_folder.hpp"

namespace framecall::store_folders_test {
namespace {

namespace fs = std::filesystem;

// A part that was last written so long ago.
void make_part(const fs::path& root, std::string_view name, int seconds) {
  const fs::path path = root / ".framecall" / "parts" / part_name(name);
  make_file(path, "half");
  const std::time_t then = ::time(nullptr) - seconds;
  const timespec times[2] = {{then, 0}, {then, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
}

constexpr int hour = 3600, day = 24 * hour;

TEST(StoreFolders, a_part_is_kept_for_a_day) {
  TemporaryFolder root;
  {
    const FileStore makes_the_folders(root.path(), Durability::none);
  }
  make_part(root.path(), "fresh", day - hour);
  make_part(root.path(), "old", day + hour);
  FileStore files(root.path(), Durability::none);
  EXPECT_EQ(files.partial_size("fresh"), 4u);
  EXPECT_EQ(files.partial_size("old"), 0u);
}

TEST(StoreFolders, old_parts_are_removed_while_the_server_runs_and_leave_the_quota) {
  TemporaryFolder root;
  FileStoreOptions options;
  options.durability = Durability::none;
  options.quota = 1000;
  {
    const FileStore makes_the_folders(root.path(), options);
  }
  make_part(root.path(), "fresh", 0);
  make_part(root.path(), "old", 0);
  FileStore files(root.path(), options);
  EXPECT_EQ(files.used_space(), 8u);
  make_part(root.path(), "old", day + hour);
  FileStore::Upload upload = files.resume("other", 0);
  upload.write("123");
  upload.publish();
  EXPECT_EQ(files.partial_size("old"), 0u);
  EXPECT_EQ(files.partial_size("fresh"), 4u);
  EXPECT_EQ(files.used_space(), 7u);
}

TEST(StoreFolders, the_name_of_a_part_tells_nothing_about_the_file) {
  EXPECT_EQ(part_name("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(part_name(std::string(255, 'n')).size(), 64u);
  EXPECT_NE(part_name("a"), part_name("b"));
}

TEST(StoreFolders, what_the_system_refuses_becomes_the_error_of_a_call) {
  try {
    looked_at("read", "a\n", []() -> int { throw std::system_error(EACCES, std::generic_category(), "inner"); });
    ADD_FAILURE();
  } catch (const CallError& error) {
    EXPECT_EQ(error.code(), ErrorCode::permission_denied);
    EXPECT_EQ(std::string(error.what()), "cannot read \"a\\x0a\": Permission denied");
  }
  EXPECT_EQ(looked_at("read", "a", [] { return 7; }), 7);
}

TEST(StoreFolders, a_part_that_is_no_file_of_ours_is_not_resumed) {
  TemporaryFolder root, outside;
  {
    const FileStore makes_the_folders(root.path(), Durability::none);
  }
  make_file(outside / "victim", "half");
  fs::create_symlink(outside / "victim", root.path() / ".framecall" / "parts" / part_name("a"));
  FileStore files(root.path(), Durability::none);
  EXPECT_EQ(files.partial_size("a"), 0u);
  EXPECT_THROW(files.resume("a", 4), CallError);
  EXPECT_EQ(content_of(outside / "victim"), "half");
}

}  // namespace
}  // namespace framecall::store_folders_test
