#include "framecall/file_options.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/temporary_folder.hpp"

namespace framecall::file_options_test {
namespace {

namespace fs = std::filesystem;

std::string text_of(const Access& access) {
  return std::string(access.read ? "r" : "-") + (access.write ? "w" : "-") + (access.replace ? "p" : "-") +
         (access.remove ? "m" : "-");
}

TEST(FileOptions, access_is_any_set_of_its_words) {
  EXPECT_EQ(text_of(Access()), "rwpm");
  const std::pair<std::vector<std::string>, const char*> cases[] = {{{}, "rwpm"},
                                                                    {{"read"}, "r-pm"},
                                                                    {{"write"}, "-wpm"},
                                                                    {{"write", "read"}, "rwpm"},
                                                                    {{"no-replace"}, "rw-m"},
                                                                    {{"no-remove"}, "rwp-"},
                                                                    {{"write", "no-replace", "no-remove"}, "-w--"}};
  for (const auto& [words, expected] : cases) EXPECT_EQ(text_of(Access::named(words)), expected);
  EXPECT_THROW(Access::named({"read", "delete"}), std::invalid_argument);
}

TEST(FileOptions, a_root_that_is_no_place_for_files_of_peers_is_told) {
  TemporaryFolder folder;
  for (const char* name : {"own", "code"}) fs::create_directory(folder / name);
  make_file(folder / "code" / "program.py", "");
  fs::create_directory_symlink(folder / "code", folder / "link");
  const std::vector<fs::path> programs = {folder / "code" / "program.py", "/nowhere/at/all"};
  EXPECT_EQ(risk_of_root(folder / "own", programs), "");
  EXPECT_EQ(risk_of_root("/", {}), "is the root of the file system");
  for (const char* name : {"code", "link", "own/../code"}) {
    EXPECT_EQ(risk_of_root(folder / name, programs),
              "holds the running program " + fs::canonical(folder / "code" / "program.py").string());
  }
  EXPECT_EQ(risk_of_root(folder / "own", {folder / "own"}), "is a folder that this program loads code from");
  const char* const home = std::getenv("HOME");
  if (home != nullptr && fs::is_directory(home) && fs::canonical(home) != "/") {
    EXPECT_EQ(risk_of_root(home, {}), "is a home folder");
  }
}

}  // namespace
}  // namespace framecall::file_options_test
