#include "files/file_usage.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "framecall/error.hpp"
#include "support/temporary_folder.hpp"

namespace framecall::file_usage_test {
namespace {

namespace fs = std::filesystem;

struct Place {
  Place() : descriptor(::open(folder.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {}
  // One that finds `there` bytes, if it counts.
  std::unique_ptr<FileUsage> open(std::uint64_t quota, std::uint64_t there) {
    return std::make_unique<FileUsage>(descriptor.get(), quota, [this, there] {
      ++counted;
      return there;
    });
  }
  TemporaryFolder folder;
  Descriptor descriptor;
  int counted = 0;
};

TEST(FileUsage, is_counted_by_the_first_and_shared_by_all) {
  Place place;
  auto one = place.open(1000, 100), two = place.open(1000, 999);
  EXPECT_EQ(place.counted, 1);
  one->reserve(200);
  two->reserve(300);
  EXPECT_EQ(one->total(), 600u);
  EXPECT_EQ(two->total(), 600u);
  one->settle(200, 150);
  two->settle(300, -50);
  EXPECT_EQ(one->total(), 200u);
  two.reset();
  EXPECT_EQ(one->total(), 200u) << "what it counted stays";
  two = place.open(1000, 999);
  EXPECT_EQ(two->total(), 200u);
  EXPECT_EQ(place.counted, 1);
  one.reset();
  two.reset();
  EXPECT_EQ(place.open(1000, 77)->total(), 77u) << "nobody was there to see what became of the files";
}

TEST(FileUsage, refuses_what_the_quota_leaves_no_room_for) {
  Place place;
  const auto usage = place.open(1000, 100);
  for (const std::uint64_t bytes : {std::uint64_t{901}, std::uint64_t{1001}, std::uint64_t{1} << 62, UINT64_MAX}) {
    try {
      usage->reserve(bytes);
      ADD_FAILURE() << bytes;
    } catch (const CallError& error) {
      EXPECT_EQ(error.code(), ErrorCode::resource_exhausted);
    }
    EXPECT_EQ(usage->total(), 100u);
  }
  usage->reserve(900);
  usage->reserve(0);
  EXPECT_EQ(usage->total(), 1000u);
}

TEST(FileUsage, one_that_was_killed_is_found_out) {
  Place place;
  const auto alive = place.open(1000, 100);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    Place own;
    const FileUsage usage(place.descriptor.get(), 1000, [] { return 0; });
    FileUsage(place.descriptor.get(), 1000, [] { return 0; }).reserve(1);
    FileUsage& killed = *new FileUsage(place.descriptor.get(), 1000, [] { return 0; });
    killed.settle(0, 50);
    killed.reserve(500);
    ::_exit(0);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  EXPECT_EQ(alive->total(), 150u) << "its promise is void";
  alive->reserve(850);
  alive->settle(850, 0);
  const auto next = place.open(1000, 120);
  EXPECT_EQ(place.counted, 2);
  EXPECT_EQ(next->total(), 120u);
  EXPECT_EQ(alive->total(), 120u);
}

TEST(FileUsage, has_room_for_64_servers) {
  Place place;
  std::vector<std::unique_ptr<FileUsage>> all;
  for (int i = 0; i < 64; ++i) all.push_back(place.open(1000, 0));
  EXPECT_THROW(place.open(1000, 0), std::system_error);
  all.pop_back();
  EXPECT_NO_THROW(place.open(1000, 0));
}

TEST(FileUsage, is_not_written_through_a_planted_link) {
  for (const bool hard : {true, false}) {
    Place place;
    TemporaryFolder outside;
    make_file(outside / "victim", "untouched");
    hard ? fs::create_hard_link(outside / "victim", place.folder / "usage")
         : fs::create_symlink(outside / "victim", place.folder / "usage");
    EXPECT_THROW(place.open(1000, 0), std::system_error);
    EXPECT_EQ(content_of(outside / "victim"), "untouched");
  }
}

TEST(FileUsage, counts_anew_what_is_no_count) {
  Place place;
  make_file(place.folder / "usage", std::string(10000, 'x'));
  EXPECT_EQ(place.open(1000, 42)->total(), 42u);
}

}  // namespace
}  // namespace framecall::file_usage_test
