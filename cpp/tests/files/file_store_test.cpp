#include "framecall/detail/file_upload.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <ctime>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "framecall/error.hpp"
#include "support/sanitizers.hpp"
#include "support/temporary_folder.hpp"

namespace framecall::file_store_test {
namespace {

namespace fs = std::filesystem;
using namespace std::string_literals;

// The code and the text of what `call` throws.
template <typename Call>
std::pair<ErrorCode, std::string> refusal(Call call) {
  try {
    call();
  } catch (const CallError& error) {
    return {error.code(), error.what()};
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

void store(FileStore& files, std::string_view name, std::string_view content) {
  FileStore::Upload upload = files.begin(name);
  upload.write(content);
  upload.publish();
}

std::vector<fs::path> instances_in(const fs::path& root) {
  std::vector<fs::path> folders(fs::directory_iterator(root / ".framecall"), {});
  std::erase(folders, root / ".framecall" / "parts");  // of all instances
  return folders;
}

TEST(FileStore, takes_every_plain_name_and_no_other) {
  TemporaryFolder root;
  FileStore files(root.path());
  const std::string long_name(255, 'n'), long_chinese = [] {
    std::string name;
    for (int i = 0; i < 85; ++i) name += "文";
    return name;
  }();
  const std::string good[] = {"a",        "a.txt",       "...",    "-rf",        "ab:cd", "%2e%2e",  " ",
                              "报告.txt", "a b",         "~",      "*",          "1:x",   ":",       "C",
                              "nul",      ".framecallx", "\u00a0", ".Framecall", "lock",  long_name, long_chinese};
  for (const std::string& name : good) {
    store(files, name, name);
    EXPECT_EQ(content_of(root / name), name);
  }
  struct Case {
    std::string name, why;
  };
  const Case bad[] = {
      {"", "is empty"},
      {".", "is a folder"},
      {"..", "is a folder"},
      {".framecall", "is reserved"},
      {"a/b", "has a / or \\; it must be one plain name"},
      {"/etc/passwd", "has a / or \\; it must be one plain name"},
      {"../a", "has a / or \\; it must be one plain name"},
      {"a\\b", "has a / or \\; it must be one plain name"},
      {"a\0b"s, "has a control character"},
      {"a\n", "has a control character"},
      {"\x7f", "has a control character"},
      {"\u0085", "has a control character"},
      {"C:", "has a drive prefix"},
      {"c:x", "has a drive prefix"},
      {"caf\xe9", "is not UTF-8"},
      {"\xed\xa0\x80", "is not UTF-8"},
      {"\xc0\xae\xc0\xae", "is not UTF-8"},
      {long_name + "n", "is longer than 255 bytes"},
  };
  for (const Case& one : bad) {
    const auto [code, text] = refusal([&] { files.begin(one.name); });
    EXPECT_EQ(code, ErrorCode::invalid_params) << one.name;
    EXPECT_EQ(text, "file name \"" + printable(one.name) + "\": " + one.why);
  }
  EXPECT_TRUE(parts_in(root.path()).empty());
}

TEST(FileStore, a_file_appears_whole_and_replaces_the_old_one_whole) {
  for (const Durability durability : {Durability::none, Durability::close, Durability::full}) {
    TemporaryFolder root;
    FileStore files(root.path(), durability);
    EXPECT_EQ(files.options().durability, durability);
    EXPECT_EQ(files.root(), root.path());
    make_file(root / "a", "the old one, which is longer");
    FileStore::Upload upload = files.begin("a");
    EXPECT_EQ(upload.name(), "a");
    upload.write("new");
    upload.write("");
    upload.write(" one");
    EXPECT_EQ(upload.size(), 7u);
    EXPECT_EQ(content_of(root / "a"), "the old one, which is longer");
    EXPECT_EQ(parts_in(root.path()).size(), 1u);
    upload.publish();
    EXPECT_EQ(content_of(root / "a"), "new one");
    store(files, "empty", "");
    EXPECT_EQ(fs::file_size(root / "empty"), 0u);
    EXPECT_TRUE(parts_in(root.path()).empty());
  }
}

TEST(FileStore, an_upload_that_is_not_published_leaves_nothing) {
  TemporaryFolder root;
  FileStore files(root.path());
  make_file(root / "old", "old");
  {
    FileStore::Upload upload = files.begin("old");
    upload.write("new");
    const FileStore::Upload moved = std::move(upload);
    EXPECT_EQ(parts_in(root.path()).size(), 1u);
  }
  EXPECT_TRUE(parts_in(root.path()).empty());
  EXPECT_EQ(content_of(root / "old"), "old");
}

TEST(FileStore, an_upload_may_outlive_its_store) {
  TemporaryFolder root;
  std::optional<FileStore> files(root.path());
  FileStore::Upload upload = files->begin("a");
  files.reset();
  upload.write("late");
  upload.publish();
  EXPECT_EQ(content_of(root / "a"), "late");
}

TEST(FileStore, its_folder_is_private_and_goes_with_it) {
  TemporaryFolder root;
  {
    FileStore files(root.path());
    struct stat status{};
    ASSERT_EQ(::stat((root / ".framecall").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0700u);
    EXPECT_EQ(instances_in(root.path()).size(), 1u);
  }
  EXPECT_TRUE(instances_in(root.path()).empty());
}

TEST(FileStore, a_folder_under_the_name_is_kept) {
  TemporaryFolder root;
  FileStore files(root.path());
  fs::create_directory(root / "folder");
  EXPECT_EQ(refusal([&] { files.begin("folder"); }).second, "cannot store \"folder\": Is a directory");
  FileStore::Upload upload = files.begin("later");
  fs::create_directory(root / "later");
  EXPECT_EQ(refusal([&] { upload.publish(); }).second, "cannot store \"later\": Is a directory");
  EXPECT_TRUE(fs::is_directory(root / "folder"));
  EXPECT_TRUE(fs::is_directory(root / "later"));
}

TEST(FileStore, links_and_fifos_are_replaced_and_never_written_through) {
  TemporaryFolder root, outside;
  FileStore files(root.path());
  make_file(outside / "file", "untouched");
  fs::create_symlink(outside / "file", root / "link");
  fs::create_symlink(outside.path(), root / "folder_link");
  fs::create_symlink(outside / "none", root / "dangling");
  fs::create_hard_link(outside / "file", root / "hard");
  ASSERT_EQ(::mkfifo((root / "fifo").c_str(), 0600), 0);
  for (const char* name : {"link", "folder_link", "dangling", "hard", "fifo"}) {
    store(files, name, name);
    EXPECT_TRUE(fs::is_regular_file(fs::symlink_status(root / name))) << name;
    EXPECT_EQ(content_of(root / name), name);
  }
  EXPECT_EQ(content_of(outside / "file"), "untouched");
  EXPECT_FALSE(fs::exists(outside / "none"));
}

TEST(FileStore, its_private_folder_is_not_reached_through_a_link) {
  TemporaryFolder root, outside;
  fs::create_symlink(outside.path(), root / ".framecall");
  EXPECT_THROW(FileStore(root.path()), std::system_error);
  EXPECT_TRUE(fs::is_empty(outside.path()));
}

TEST(FileStore, says_when_the_root_is_no_folder) {
  TemporaryFolder root;
  make_file(root / "file", "");
  for (const char* name : {"file", "none"}) {
    try {
      FileStore files(root / name);
      ADD_FAILURE() << name;
    } catch (const std::system_error& error) {
      EXPECT_NE(std::string(error.what()).find((root / name).string()), std::string::npos) << error.what();
    }
  }
}

TEST(FileStore, what_the_system_refuses_becomes_the_answer) {
  TemporaryFolder root;
  FileStore files(root.path());
  FileStore::Upload upload = files.begin("big");
  const auto handler_before = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{1000, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  const auto [code, text] = refusal([&] { upload.write(std::string(2000, 'x')); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler_before);
  EXPECT_EQ(text, "cannot write \"big\": File too large");
  EXPECT_EQ(code, error_code_of(EFBIG));
}

TEST(FileStore, two_share_a_root) {
  TemporaryFolder root;
  FileStore one(root.path());
  FileStore::Upload first = one.begin("first");
  std::optional<FileStore> two(root.path());
  FileStore::Upload second = two->begin("second"), same = two->begin("first");
  EXPECT_EQ(instances_in(root.path()).size(), 2u);
  EXPECT_EQ(parts_in(root.path()).size(), 3u);
  first.write("1");
  second.write("2");
  same.write("3");
  first.publish();
  second.publish();
  same.publish();
  EXPECT_EQ(content_of(root / "first"), "3");
  EXPECT_EQ(content_of(root / "second"), "2");
}

TEST(FileStore, what_a_dead_one_left_is_removed_at_the_start) {
  TemporaryFolder root;
  FileStore alive(root.path());
  FileStore::Upload under_way = alive.begin("alive");
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    FileStore files(root.path());
    FileStore::Upload upload = files.begin("cut");
    upload.write("half");
    ::_exit(0);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  ASSERT_EQ(instances_in(root.path()).size(), 2u);
  ASSERT_EQ(parts_in(root.path()).size(), 2u);
  FileStore next(root.path());
  EXPECT_EQ(instances_in(root.path()).size(), 2u);  // those that live
  EXPECT_EQ(parts_in(root.path()).size(), 1u);
  EXPECT_FALSE(fs::exists(root / "cut"));
  under_way.publish();
  EXPECT_TRUE(fs::exists(root / "alive"));
}

TEST(FileStore, what_another_host_left_is_removed_after_a_day) {
  TemporaryFolder root;
  const fs::path fresh = root / ".framecall" / "another_host_.1", old = root / ".framecall" / "another_host_.2";
  for (const fs::path& folder : {fresh, old}) {
    fs::create_directories(folder);
    make_file(folder / "0", "half");
  }
  const std::time_t now = ::time(nullptr);
  const timespec long_ago[2] = {{now - 90000, 0}, {now - 90000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, old.c_str(), long_ago, 0), 0);
  FileStore files(root.path());
  EXPECT_TRUE(fs::exists(fresh / "0"));
  EXPECT_FALSE(fs::exists(old));
}

TEST(FileStore, finds_a_root_that_was_removed_and_made_again) {
  TemporaryFolder folder;
  const fs::path root = folder / "root";
  fs::create_directory(root);
  FileStore files(root);
  FileStore::Upload lost = files.begin("lost");
  fs::remove_all(root);
  EXPECT_EQ(refusal([&] { files.begin("a"); }).first, ErrorCode::not_found);
  EXPECT_EQ(refusal([&] { lost.publish(); }).first, ErrorCode::not_found);
  fs::create_directory(root);
  store(files, "a", "again");
  EXPECT_EQ(content_of(root / "a"), "again");
  EXPECT_FALSE(fs::exists(root / "lost"));
}

TEST(FileStore, serves_many_threads) {
  TemporaryFolder folder;
  const fs::path root = folder / "root";
  fs::create_directory(root);
  FileStore files(root, Durability::none);
  fs::remove_all(root);  // so that all find it gone at once
  fs::create_directory(root);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&files, i] {
      for (int j = 0; j < 25; ++j) {
        store(files, std::to_string(i) + "-" + std::to_string(j), std::string(100, static_cast<char>('a' + i)));
        store(files, "shared", std::string(100, static_cast<char>('a' + i)));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < 8; ++i) {
    for (int j = 0; j < 25; ++j) {
      EXPECT_EQ(content_of(root / (std::to_string(i) + "-" + std::to_string(j))),
                std::string(100, static_cast<char>('a' + i)));
    }
  }
  const std::string last = content_of(root / "shared");
  EXPECT_EQ(last, std::string(100, last[0]));
  EXPECT_TRUE(parts_in(root).empty());
}

std::vector<std::string> names_of(const FileStore::Listing& listing) {
  std::vector<std::string> names;
  for (const FileStore::Entry& entry : listing.files) names.push_back(entry.name);
  return names;
}

// Out of descriptors, for as long as it lives.
class NoDescriptors {
 public:
  NoDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit none{0, before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

TEST(FileStore, a_folder_that_cannot_be_read_is_an_error_and_never_empty) {
  if (sanitized) GTEST_SKIP() << "UndefinedBehaviorSanitizer looks at types through a pipe: it needs descriptors";
  TemporaryFolder root;
  FileStore files(root.path());
  store(files, "a", "a");
  {
    const NoDescriptors none;
    EXPECT_EQ(refusal([&] { files.list(); }),
              std::pair(ErrorCode::resource_exhausted, "cannot list the files: Too many open files"s));
  }
  EXPECT_EQ(names_of(files.list()), std::vector{"a"s});
}

TEST(FileStore, a_name_that_is_none_is_left_out_of_the_list_and_counted) {
  TemporaryFolder root;
  FileStore files(root.path());
  for (const char* name : {"caf\xe9", "caf\u00e9", "line\nfeed", "c:x", "zoo"}) make_file(root / name, "1");
  fs::create_directory(root / "folder\xe9");
  const FileStore::Listing all = files.list();
  EXPECT_EQ(names_of(all), (std::vector{"caf\u00e9"s, "zoo"s}));
  EXPECT_EQ(all.left_out, 3u);
  EXPECT_EQ(files.list("caf").left_out, 1u);
  EXPECT_EQ(files.list("z").left_out, 0u);
}

TEST(FileStore, a_list_is_the_first_names_and_can_be_gone_on_with) {
  TemporaryFolder root;
  FileStore files(root.path(), Durability::none);
  std::vector<std::string> names;
  for (int i = 100; i < 160; ++i) names.push_back("f" + std::to_string(i));
  for (auto name = names.rbegin(); name != names.rend(); ++name) make_file(root / *name, *name);
  fs::create_symlink(root / "f100", root / "f0link");
  fs::create_directory(root / "f0folder");
  std::vector<std::string> found;
  for (std::string after;;) {
    const std::vector<std::string> page = names_of(files.list("f", after, 7));
    EXPECT_LE(page.size(), 7u);
    if (page.empty()) break;
    found.insert(found.end(), page.begin(), page.end());
    after = page.back();
  }
  EXPECT_EQ(found, names);
  EXPECT_EQ(files.list("f1", "f15").files.front().size, 4u);
}

TEST(FileStore, work_that_nobody_waits_for_stops) {
  TemporaryFolder root;
  FileStore files(root.path(), Durability::none);
  for (int i = 0; i < 3000; ++i) make_file(root / std::to_string(i), "");
  store(files, "big", std::string(3 << 20, 'x'));
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(refusal([&] { files.list({}, {}, 10, stop.get_token()); }).first, ErrorCode::cancelled);
  const auto holds = [&](std::uint64_t size) {
    return files.holds("big", size, std::string(64, '0'), Durability::none, stop.get_token());
  };
  EXPECT_EQ(refusal([&] { holds(3 << 20); }).first, ErrorCode::cancelled);
  EXPECT_FALSE(holds(1)) << "the sizes differ, so it is not read";
  FileStore::Upload part = files.resume("part", 0);
  part.write("x");
  EXPECT_EQ(refusal([&] { part.sha256(stop.get_token()); }).first, ErrorCode::cancelled);
}

FileStoreOptions with_quota(std::uint64_t quota) {
  FileStoreOptions options;
  options.durability = Durability::none;
  options.quota = quota;
  return options;
}

void cut(FileStore& files, std::string_view name, std::string_view content) {
  FileStore::Upload upload = files.resume(name, 0, content.size() + 1);
  upload.write(content);
}

TEST(FileStore, a_strangers_byte_neither_locks_nor_shortens_a_part) {
  TemporaryFolder root;
  FileStore files(root.path(), Durability::none);
  FileStore::Upload before = files.resume("f", 0);  // and keeps it open
  before.write("!");
  cut(files, "f", "half");
  FileStore::Upload after = files.resume("f", 0);
  after.write("?");
  EXPECT_EQ(files.partial_size("f"), 4u);
  FileStore::Upload owner = files.resume("f", 4);
  owner.write(" and half");
  owner.publish();
  EXPECT_EQ(content_of(root / "f"), "half and half");
  {
    const FileStore::Upload gone = std::move(before);
  }
  {
    const FileStore::Upload gone = std::move(after);
  }
  EXPECT_EQ(files.partial_size("f"), 1u) << "the longest of what was cut off later";
}

TEST(FileStore, of_two_parts_the_longer_one_stays) {
  TemporaryFolder root;
  FileStore files(root.path(), Durability::none);
  for (const char* content : {"123", "1", "12345", "1234"}) cut(files, "f", content);
  EXPECT_EQ(files.partial_size("f"), 5u);
  EXPECT_EQ(parts_in(root.path()).size(), 1u);
  store(files, "f", "1");
  EXPECT_EQ(files.partial_size("f"), 5u);
  FileStore::Upload whole = files.resume("f", 0);
  whole.write("123456");
  whole.publish();
  EXPECT_EQ(files.partial_size("f"), 0u) << "it is of no use any more";
}

TEST(FileStore, an_upload_that_is_stuck_is_gone_on_with_by_another) {
  TemporaryFolder root;
  FileStore files(root.path(), Durability::none);
  FileStore::Upload stuck = files.resume("f", 0);
  stuck.write("half");
  EXPECT_EQ(files.partial_size("f"), 4u);
  EXPECT_EQ(refusal([&] { files.resume("f", 3); }).first, ErrorCode::aborted);
  EXPECT_EQ(refusal([&] { files.resume("f", 4); }).first, ErrorCode::unavailable) << "it was written to just now";
  const fs::path part = parts_in(root.path()).at(0);
  fs::last_write_time(part, fs::last_write_time(part) - std::chrono::seconds(2));
  FileStore::Upload other = files.resume("f", 4);
  other.write("+half");
  EXPECT_EQ(refusal([&] { stuck.write("-half"); }).first, ErrorCode::aborted);
  EXPECT_EQ(refusal([&] { stuck.publish(); }).first, ErrorCode::aborted);
  {
    const FileStore::Upload gone = std::move(stuck);
  }
  other.publish();
  EXPECT_EQ(content_of(root / "f"), "half+half");
  EXPECT_TRUE(parts_in(root.path()).empty());
}

TEST(FileStore, what_can_be_resumed_outlives_a_kill) {
  TemporaryFolder root;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    FileStore files(root.path(), Durability::none);
    FileStore::Upload upload = files.resume("f", 0);
    upload.write("half");
    ::_exit(0);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  FileStore files(root.path(), Durability::none);
  EXPECT_EQ(files.partial_size("f"), 4u);
  EXPECT_EQ(instances_in(root.path()).size(), 1u);
}

TEST(FileStore, a_part_with_a_second_name_is_not_written_through) {
  TemporaryFolder root, outside;
  FileStore files(root.path(), Durability::none);
  cut(files, "f", "half");
  const fs::path part = parts_in(root.path()).at(0);
  fs::remove(part);
  make_file(outside / "victim", "vict");
  fs::create_hard_link(outside / "victim", part);
  EXPECT_EQ(files.partial_size("f"), 0u);
  const auto [code, text] = refusal([&] { files.resume("f", 4); });
  EXPECT_EQ(code, ErrorCode::failed_precondition);
  EXPECT_NE(text.find("hard link"), std::string::npos) << text;
  EXPECT_EQ(content_of(outside / "victim"), "vict");
  fs::create_symlink(outside / "victim", part);
  EXPECT_EQ(refusal([&] { files.resume("f", 4); }).first, ErrorCode::failed_precondition);
  fs::create_hard_link(outside / "victim", part);
  cut(files, "f", "1");
  EXPECT_EQ(files.partial_size("f"), 1u) << "it does not stand in the way either";
  EXPECT_EQ(content_of(outside / "victim"), "vict");
}

TEST(FileStore, a_root_that_was_replaced_is_refused) {
  for (const bool by_link : {true, false}) {
    TemporaryFolder folder;
    const fs::path root = folder / "root", other = folder / "other";
    fs::create_directory(root);
    fs::create_directory(other);
    make_file(other / "secret", "secret");
    FileStore files(root);
    fs::remove_all(root);
    by_link ? fs::create_directory_symlink(other, root) : fs::rename(other, root);
    const std::string expected = std::string("the root folder was replaced by ") +
                                 (by_link ? "a link" : "another folder") + " while the server was running: restart it";
    EXPECT_EQ(refusal([&] { files.begin("a"); }), std::pair(ErrorCode::failed_precondition, expected));
    EXPECT_EQ(refusal([&] { files.list(); }), std::pair(ErrorCode::failed_precondition, expected));
    EXPECT_FALSE(fs::exists(root / ".framecall"));
  }
}

TEST(FileStore, a_root_that_is_a_link_is_resolved_once) {
  TemporaryFolder folder;
  for (const char* name : {"one", "two"}) fs::create_directory(folder / name);
  fs::create_directory_symlink(folder / "one", folder / "link");
  FileStore files(folder / "link");
  EXPECT_EQ(files.root(), folder / "link");
  fs::remove(folder / "link");
  fs::create_directory_symlink(folder / "two", folder / "link");
  store(files, "a", "a");
  fs::remove_all(folder / "one");
  fs::create_directory(folder / "one");
  store(files, "b", "b");
  EXPECT_EQ(content_of(folder / "one" / "b"), "b");
  EXPECT_TRUE(fs::is_empty(folder / "two"));
}

TEST(FileStore, a_private_folder_of_another_user_is_refused) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root makes files of another user";
  TemporaryFolder root;
  fs::create_directories(root / ".framecall" / "parts");
  ASSERT_EQ(::chown((root / ".framecall" / "parts").c_str(), 12345, 12345), 0);
  EXPECT_THROW(FileStore(root.path()), std::system_error);
}

TEST(FileStore, a_quota_counts_what_is_there_and_what_is_promised) {
  TemporaryFolder root;
  make_file(root / "old", std::string(300, 'o'));
  FileStore files(root.path(), with_quota(1000));
  EXPECT_EQ(files.used_space(), 300u);
  {
    FileStore::Upload first = files.begin("first", 400);
    EXPECT_EQ(files.used_space(), 700u) << "before a byte of it is there";
    FileStore::Upload second = files.resume("second", 0, 300);
    EXPECT_EQ(refusal([&] { files.begin("third", 1); }),
              std::pair(ErrorCode::resource_exhausted,
                        "all files, parts and unfinished uploads together would have 1001 bytes: quota is 1000"s));
    first.write(std::string(400, 'f'));
    first.publish();
    second.write("half");
  }
  EXPECT_EQ(files.used_space(), 704u) << "a part counts as long as it is there";
  FileStore::Upload second = files.resume("second", 4, 300);
  EXPECT_EQ(files.used_space(), 1000u);
  second.write(std::string(296, 's'));
  second.publish();
  EXPECT_EQ(files.used_space(), 1000u);
  files.remove("first");
  EXPECT_EQ(files.used_space(), 600u);
  FileStore::Upload unknown = files.begin("unknown");
  EXPECT_EQ(refusal([&] { unknown.write(std::string(401, 'u')); }).first, ErrorCode::resource_exhausted);
  unknown.write(std::string(400, 'u'));
  unknown.publish();
  EXPECT_EQ(files.used_space(), 1000u);
}

TEST(FileStore, a_file_makes_room_for_one_that_replaces_it_but_not_for_many) {
  TemporaryFolder root;
  FileStore files(root.path(), with_quota(1000));
  store(files, "f", std::string(900, '1'));
  {
    FileStore::Upload upload = files.resume("f", 0, 1000);
    EXPECT_EQ(refusal([&] { files.resume("f", 0, 900); }).first, ErrorCode::resource_exhausted);
    upload.write(std::string(1000, '2'));
    upload.publish();
  }
  EXPECT_EQ(files.used_space(), 1000u);
  {
    FileStore::Upload cut_off = files.resume("f", 0, 1000);
    cut_off.write(std::string(500, '3'));
  }
  EXPECT_EQ(files.used_space(), 1000u) << "a part that there is no room for is not kept";
  EXPECT_EQ(files.partial_size("f"), 0u);
  FileStore::Upload upload = files.begin("f", 1000);
  files.remove("f");
  FileStore::Upload other = files.begin("g", 600);
  upload.write(std::string(1000, '4'));
  EXPECT_EQ(refusal([&] { upload.publish(); }).first, ErrorCode::resource_exhausted) << "its room is gone";
  EXPECT_FALSE(fs::exists(root / "f"));
}

TEST(FileStore, stores_of_one_root_share_its_quota) {
  TemporaryFolder root;
  FileStore one(root.path(), with_quota(1000));
  std::optional<FileStore> two(std::in_place, root.path(), with_quota(1000));
  store(one, "a", std::string(400, 'a'));
  FileStore::Upload upload = one.begin("b", 300);
  EXPECT_EQ(two->used_space(), 700u);
  EXPECT_EQ(refusal([&] { two->begin("c", 301); }).first, ErrorCode::resource_exhausted);
  two->remove("a");
  store(*two, "c", std::string(100, 'c'));
  EXPECT_EQ(one.used_space(), 400u);
  two.reset();
  EXPECT_EQ(one.used_space(), 400u);
  two.emplace(root.path(), with_quota(1000));
  EXPECT_EQ(two->used_space(), 400u);
}

TEST(FileStore, a_quota_is_right_after_a_kill) {
  TemporaryFolder root;
  FileStore alive(root.path(), with_quota(1000));
  store(alive, "a", std::string(100, 'a'));
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    FileStore files(root.path(), with_quota(1000));
    store(files, "b", std::string(100, 'b'));
    FileStore::Upload upload = files.resume("c", 0, 700), plain = files.begin("d", 100);
    upload.write("half");
    plain.write("half");
    ::_exit(0);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  EXPECT_EQ(alive.used_space(), 200u) << "what it had promised is void";
  FileStore next(root.path(), with_quota(1000));
  EXPECT_EQ(next.used_space(), 204u) << "counted anew, with the part that can be resumed";
  EXPECT_EQ(alive.used_space(), 204u);
}

TEST(FileStore, a_quota_holds_against_many_threads) {
  TemporaryFolder root;
  FileStore files(root.path(), with_quota(5000));
  std::atomic<int> stored{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      for (int j = 0; j < 20; ++j) {
        try {
          FileStore::Upload upload = files.begin(std::to_string(i) + "-" + std::to_string(j), 100);
          upload.write(std::string(100, 'x'));
          upload.publish();
          ++stored;
        } catch (const CallError& error) {
          EXPECT_EQ(error.code(), ErrorCode::resource_exhausted) << error.what();
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(files.used_space(), static_cast<std::uint64_t>(stored) * 100);
  EXPECT_LE(stored, 50);
  EXPECT_GE(stored, 40);
}

TEST(FileStore, does_only_what_its_access_says) {
  TemporaryFolder root;
  make_file(root / "old", "old");
  const auto opened = [&](const std::vector<std::string>& words) {
    FileStoreOptions options;
    options.access = Access::named(words);
    return FileStore(root.path(), options);
  };
  const auto code = [](auto call) { return refusal(call).first; };
  {
    FileStore files = opened({"read"});
    EXPECT_EQ(files.list().files.size(), 1u);
    EXPECT_EQ(files.open("old").size(), 3u);
    EXPECT_EQ(code([&] { files.begin("new"); }), ErrorCode::permission_denied);
    EXPECT_EQ(code([&] { files.resume("new", 0); }), ErrorCode::permission_denied);
    EXPECT_EQ(code([&] { files.partial_size("new"); }), ErrorCode::permission_denied);
    EXPECT_EQ(code([&] { files.remove("old"); }), ErrorCode::permission_denied);
    EXPECT_EQ(code([&] { files.holds("old", 3, "", Durability::none); }), ErrorCode::permission_denied);
  }
  {
    FileStore files = opened({"write"});
    EXPECT_EQ(refusal([&] { files.open("old"); }),
              std::pair(ErrorCode::permission_denied, "the access of this server does not include read"s));
    EXPECT_EQ(code([&] { files.list(); }), ErrorCode::permission_denied);
    EXPECT_EQ(code([&] { files.stat("old"); }), ErrorCode::permission_denied);
    store(files, "new", "new");
    files.remove("new");
  }
  {
    FileStore files = opened({"no-replace", "no-remove"});
    EXPECT_EQ(files.open("old").size(), 3u);
    EXPECT_EQ(code([&] { files.remove("old"); }), ErrorCode::permission_denied);
    EXPECT_EQ(code([&] { files.begin("old"); }), ErrorCode::already_exists);
    EXPECT_EQ(code([&] { files.resume("old", 0); }), ErrorCode::already_exists);
    EXPECT_EQ(code([&] { files.resume("old", 3); }), ErrorCode::already_exists);
    FileStore::Upload late = files.begin("late");
    store(files, "late", "first");
    late.write("second");
    EXPECT_EQ(code([&] { late.publish(); }), ErrorCode::already_exists);
    EXPECT_EQ(content_of(root / "late"), "first");
  }
  EXPECT_EQ(content_of(root / "old"), "old");
  EXPECT_TRUE(parts_in(root.path()).empty());
}

}  // namespace
}  // namespace framecall::file_store_test
