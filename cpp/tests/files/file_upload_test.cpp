// Uploads by themselves; what they have to do with their store is in file_store_test.cpp.
#include "framecall/detail/file_upload.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "framecall/error.hpp"
#include "framecall/wire/digest.hpp"
#include "support/temporary_folder.hpp"

namespace framecall::file_upload_test {
namespace {

namespace fs = std::filesystem;

struct Store {
  explicit Store(std::uint64_t quota = std::uint64_t{INT64_MAX}) {
    FileStoreOptions options;
    options.durability = Durability::none;
    options.quota = quota;
    files.emplace(root.path(), options);
  }
  TemporaryFolder root;
  std::optional<FileStore> files;
};

template <class Call>
ErrorCode code_of(Call call) {
  try {
    call();
  } catch (const CallError& error) {
    return error.code();
  }
  return ErrorCode{0};
}

TEST(FileUpload, its_digest_is_of_all_that_is_in_it_with_earlier_attempts) {
  Store store;
  store.files->resume("a", 0).write("first half, ");
  FileStore::Upload upload = store.files->resume("a", 12);
  EXPECT_EQ(upload.size(), 12u);
  upload.write("second half");
  EXPECT_EQ(upload.size(), 23u);
  Digest whole(DigestKind::sha256);
  whole.update("first half, second half");
  EXPECT_EQ(upload.sha256(), whole.finish());
  upload.write(".");
  upload.publish();
  EXPECT_EQ(content_of(store.root / "a"), "first half, second half.") << "reading moved nothing";
}

TEST(FileUpload, without_replace_a_taken_name_is_kept_and_the_part_removed) {
  Store store;
  make_file(store.root / "a", "old");
  FileStore::Upload upload = store.files->resume("a", 0);
  upload.write("new");
  EXPECT_EQ(code_of([&] { upload.publish(Durability::close, false); }), ErrorCode::already_exists);
  EXPECT_EQ(content_of(store.root / "a"), "old");
  {
    const FileStore::Upload gone = std::move(upload);
  }
  EXPECT_TRUE(parts_in(store.root.path()).empty());
  FileStore::Upload other = store.files->begin("b");
  other.write("b");
  other.publish(Durability::close, false);
  EXPECT_EQ(content_of(store.root / "b"), "b");
}

TEST(FileUpload, one_that_is_discarded_is_not_kept_for_later) {
  Store store;
  {
    FileStore::Upload upload = store.files->resume("a", 0);
    upload.write("half");
    upload.discard();
  }
  EXPECT_EQ(store.files->partial_size("a"), 0u);
  EXPECT_TRUE(parts_in(store.root.path()).empty());
}

TEST(FileUpload, one_that_can_be_resumed_but_is_empty_leaves_nothing) {
  Store store;
  {
    const FileStore::Upload upload = store.files->resume("a", 0, 100);
  }
  EXPECT_TRUE(parts_in(store.root.path()).empty());
}

TEST(FileUpload, a_moved_one_ends_once) {
  Store store(1000);
  {
    FileStore::Upload first = store.files->begin("a", 300);
    first.write("content");
    FileStore::Upload second = std::move(first);
    EXPECT_EQ(second.name(), "a");
    EXPECT_EQ(store.files->used_space(), 300u);
    second.publish();
  }
  EXPECT_EQ(store.files->used_space(), 7u);
  EXPECT_EQ(content_of(store.root / "a"), "content");
}

TEST(FileUpload, a_write_that_the_quota_refuses_leaves_it_as_it_was) {
  Store store(1000);
  FileStore::Upload upload = store.files->begin("a", 10);
  upload.write(std::string(900, 'x'));
  EXPECT_EQ(code_of([&] { upload.write(std::string(101, 'y')); }), ErrorCode::resource_exhausted);
  EXPECT_EQ(upload.size(), 900u);
  upload.write(std::string(100, 'z'));
  upload.publish();
  EXPECT_EQ(content_of(store.root / "a"), std::string(900, 'x') + std::string(100, 'z'));
}

}  // namespace
}  // namespace framecall::file_upload_test
