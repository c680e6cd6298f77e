// The floors of the house, read off the sources: what may include what.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

// The folders of cpp/src, from the ground up. A floor includes what is below it. Neighbours on one floor (wire and files,
// client and server) do not include each other.
const std::map<std::string, int> floors = {{"text", 0}, {"wire", 1},   {"files", 1},
                                           {"net", 2},  {"client", 3}, {"server", 3}};

// Programs on top of the library: they see its public headers and their own files.
const std::vector<std::string> top_floor = {"cpp/cli", "python/bindings"};

// Headers that text, wire and files do without: Asio, sockets, threads. (A lock is no thread, nor is a stop_token.)
const std::vector<std::string> kept_out = {
    "asio",      "boost/",  "sys/socket.h", "sys/un.h",     "sys/epoll.h", "sys/select.h", "netinet/",
    "arpa/",     "netdb.h", "poll.h",       "net/",         "thread",      "future",       "condition_variable",
    "semaphore", "latch",   "barrier",      "pthread.h",    "signal.h",    "csignal",      "sys/sendfile.h",
    "ctime",     "time.h",  "sys/time.h",   "sys/timerfd.h"};

const fs::path root = FRAMECALL_SOURCE_DIR;

struct Include {
  std::string name;
  bool quoted;
};

std::vector<Include> includes_of(const fs::path& file) {
  std::vector<Include> includes;
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    const std::size_t start = line.find_first_not_of(" \t");
    if (start == std::string::npos || line[start] != '#') continue;
    if (line.compare(line.find_first_not_of(" \t", start + 1), 7, "include") != 0) continue;
    const std::size_t open = line.find_first_of("<\"");
    const bool quoted = line.at(open) == '"';
    includes.push_back({line.substr(open + 1, line.find(quoted ? '"' : '>', open + 1) - open - 1), quoted});
  }
  return includes;
}

std::vector<fs::path> sources_in(const std::string& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
    if (entry.path().extension() == ".hpp" || entry.path().extension() == ".cpp") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<fs::path> library_sources() {
  std::vector<fs::path> files = sources_in("cpp/include/framecall");
  for (const fs::path& file : sources_in("cpp/src")) files.push_back(file);
  return files;
}

bool is_public(const std::string& name) {
  return name == "framecall/version.hpp" || (name.starts_with("framecall/") && fs::exists(root / "cpp/include" / name));
}

// The folder of cpp/src that a file of the library belongs to. A public header belongs to the source file of its name; one
// without a source file has no folder ("") and counts as what it includes.
std::string folder_of(const fs::path& file) {
  const std::string source = "cpp/src/";
  const std::string path = fs::relative(file, root).generic_string();
  if (path.starts_with(source)) return path.substr(source.size(), path.find('/', source.size()) - source.size());
  for (const fs::path& other : sources_in("cpp/src")) {
    if (other.stem() == file.stem()) return folder_of(other);
  }
  return "";
}

fs::path file_of(const std::string& include) {
  return root / (include.starts_with("framecall/") ? "cpp/include" : "cpp/src") / include;
}

// The folders that a header reaches: its own, or those of its includes.
std::set<std::string> folders_of(const std::string& include) {
  if (include == "framecall/version.hpp") return {};
  const std::string own = folder_of(file_of(include));
  if (!own.empty()) return {own};
  std::set<std::string> all;
  for (const Include& below : includes_of(file_of(include))) {
    if (below.quoted) all.merge(folders_of(below.name));
  }
  return all;
}

TEST(Architecture, every_source_file_is_on_a_floor) {
  std::set<std::string> found;
  for (const fs::path& file : sources_in("cpp/src")) {
    found.insert(folder_of(file));
    EXPECT_TRUE(floors.contains(folder_of(file))) << file << " is on no floor";
  }
  EXPECT_EQ(found.size(), floors.size());
}

// The diagram under "How it is built": a line for each floor, the highest one first.
TEST(Architecture, the_readme_shows_the_floors) {
  std::ifstream readme(root / "README.md");
  std::string line;
  while (std::getline(readme, line) && line != "## How it is built") {
  }
  std::vector<std::set<std::string>> shown;
  for (int fences = 0; fences < 2 && std::getline(readme, line);) {
    fences += line == "```" ? 1 : 0;
    std::set<std::string> folders;
    std::istringstream words(line.substr(0, std::min<std::size_t>(line.size(), 40)));  // behind them: what they are for
    for (std::string word; words >> word;) {
      if (floors.contains(word)) folders.insert(word);
    }
    if (!folders.empty()) shown.push_back(folders);
  }
  std::vector<std::set<std::string>> real;
  for (const auto& [folder, floor] : floors) {
    real.resize(std::max<std::size_t>(real.size(), static_cast<std::size_t>(floor) + 1));
    real[static_cast<std::size_t>(floor)].insert(folder);
  }
  std::reverse(real.begin(), real.end());
  EXPECT_EQ(shown, real);
}

TEST(Architecture, includes_go_down_and_never_sideways) {
  std::size_t count = 0;
  for (const fs::path& file : library_sources()) {
    const std::string own = folder_of(file);
    const bool open = file.generic_string().find("/include/framecall/") != std::string::npos;
    for (const Include& include : includes_of(file)) {
      if (!include.quoted) {
        EXPECT_FALSE(include.name.starts_with("framecall/"))
            << file << " includes <" << include.name << ">: use quotes";
        continue;
      }
      ++count;
      ASSERT_TRUE(is_public(include.name) || fs::exists(file_of(include.name)))
          << file << " includes " << include.name << ", which is not of the library";
      if (open) {
        EXPECT_TRUE(is_public(include.name)) << file << " is public and includes " << include.name;
      }
      if (own.empty()) continue;
      for (const std::string& other : folders_of(include.name)) {
        EXPECT_TRUE(other == own || floors.at(other) < floors.at(own))
            << file << " (" << own << ") includes " << include.name << " (" << other << ")";
      }
    }
  }
  EXPECT_GT(count, 100u);
}

TEST(Architecture, headers_do_not_include_each_other_in_a_circle) {
  std::map<std::string, std::set<std::string>> below;  // header -> all that it brings along
  for (const fs::path& file : library_sources()) {
    if (file.extension() != ".hpp") continue;
    const std::string path = fs::relative(file, root / "cpp").generic_string();
    const std::string own = path.substr(path.find('/') + 1);  // as it is included
    for (const Include& include : includes_of(file)) {
      if (include.quoted) below[own].insert(include.name);
    }
  }
  for (std::size_t round = 0; round < below.size(); ++round) {
    for (auto& [header, all] : below) {
      for (const std::string& other : std::set<std::string>(all)) all.insert(below[other].begin(), below[other].end());
    }
  }
  for (const auto& [header, all] : below) EXPECT_FALSE(all.contains(header)) << header;
}

TEST(Architecture, text_wire_and_files_know_no_sockets_and_threads) {
  std::size_t count = 0;
  for (const fs::path& file : library_sources()) {
    const std::string own = folder_of(file);
    if (own != "text" && own != "wire" && own != "files") continue;
    for (const Include& include : includes_of(file)) {
      ++count;
      for (const std::string& name : kept_out) {
        const bool folder = name.ends_with('/') || name == "asio";
        EXPECT_FALSE(folder ? include.name.starts_with(name) : include.name == name)
            << file << " includes " << include.name;
      }
    }
  }
  EXPECT_GT(count, 50u);
}

// Callers pass the time in: else no test could.
TEST(Architecture, text_wire_and_files_do_not_read_the_clock) {
  for (const fs::path& file : library_sources()) {
    const std::string own = folder_of(file);
    if (own != "text" && own != "wire" && own != "files") continue;
    std::ifstream stream(file);
    for (std::string line; std::getline(stream, line);) {
      EXPECT_EQ(line.find("::now("), std::string::npos) << file << ": " << line;
    }
  }
}

TEST(Architecture, asio_shows_in_the_public_headers_for_coroutines_only) {
  for (const fs::path& file : sources_in("cpp/include/framecall")) {
    if (file.stem() == "async_client" || file.stem() == "awaitable") continue;
    for (const Include& include : includes_of(file)) EXPECT_FALSE(include.name.starts_with("asio")) << file;
  }
}

TEST(Architecture, programs_see_public_headers_only) {
  for (const std::string& folder : top_floor) {
    std::size_t count = 0;
    for (const fs::path& file : sources_in(folder)) {
      for (const Include& include : includes_of(file)) {
        if (!include.quoted) continue;
        const bool own = fs::exists(root / folder / include.name);
        EXPECT_TRUE(own || is_public(include.name)) << file << " includes " << include.name;
        if (!own) ++count;
      }
    }
    EXPECT_GT(count, 0u) << folder;
  }
}

TEST(Architecture, a_public_header_is_short_and_included_once) {
  for (const fs::path& file : sources_in("cpp/include/framecall")) {
    std::ifstream stream(file);
    std::size_t count = 0, once = 0;
    for (std::string line; std::getline(stream, line); ++count) once += line == "#pragma once" ? 1 : 0;
    EXPECT_LT(count, 170u) << file;
    EXPECT_EQ(once, 1u) << file;
  }
}

// Files of cpp/src by folder and name, without what is behind the last dot: "net/sockets".
std::set<std::string> modules() {
  std::set<std::string> all;
  for (const fs::path& file : sources_in("cpp/src")) {
    all.insert(fs::relative(file, root / "cpp/src").replace_extension().generic_string());
  }
  return all;
}

// The three lists below only get shorter: who tests a module, or shortens a file or a class, removes its entry.
TEST(Architecture, every_module_has_a_test_of_its_own_name) {
  const std::set<std::string> without_test = {
      "client/async_connection", "client/blocking_connection", "client/connection_pool", "client/dialect_connection",
      "server/connection",       "server/connection_clocks",   "server/event_loop",      "server/loop_resources",
      "server/sessions/session", "wire/reply_decoder",         "wire/request_encoder",
  };
  std::set<std::string> found;
  for (const std::string& module : modules()) {
    if (!fs::exists(root / "cpp/tests" / (module + "_test.cpp"))) found.insert(module);
  }
  EXPECT_EQ(found, without_test);
}

TEST(Architecture, no_file_is_longer_than_450_lines) {
  const std::set<std::string> too_long = {};
  std::set<std::string> found;
  for (const fs::path& file : sources_in("cpp/src")) {
    std::ifstream stream(file);
    std::size_t count = 0;
    for (std::string line; std::getline(stream, line);) ++count;
    if (count > 450) found.insert(fs::relative(file, root / "cpp/src").generic_string());
  }
  EXPECT_EQ(found, too_long);
}

// The public functions of each class of a header, read off its indentation: a declaration begins behind two blanks, and is
// continued behind more.
std::map<std::string, std::size_t> public_functions_in(const fs::path& header) {
  std::map<std::string, std::size_t> counts;
  std::ifstream stream(header);
  std::string name;
  bool open = false;
  for (std::string line; std::getline(stream, line);) {
    const bool is_class = line.starts_with("class "), is_struct = line.starts_with("struct ");
    if ((is_class || is_struct) && line.ends_with('{')) {
      std::istringstream words(line);
      words >> name >> name;
      open = is_struct;
    } else if (line.starts_with('}')) {
      name.clear();
    } else if (line.starts_with(" public:") || line.starts_with(" private:") || line.starts_with(" protected:")) {
      open = line.starts_with(" public:");
    } else if (!name.empty() && open && line.size() > 2 && line.starts_with("  ") && line[2] != ' ' && line[2] != '/') {
      const std::string before = line.substr(0, line.find('('));
      const bool declares = before.size() < line.size() &&
                            (before.find('=') == std::string::npos || before.find("operator") != std::string::npos);
      if (declares && !line.starts_with("  using ") && !line.starts_with("  friend ")) ++counts[name];
    }
  }
  return counts;
}

TEST(Architecture, no_class_has_more_than_20_public_functions) {
  const std::set<std::string> too_large = {"ClientSession", "Decoder", "DialectConnection", "EventLoop",
                                           "FrameSession",  "Session", "SessionPort"};
  std::set<std::string> found;
  std::size_t all = 0;
  for (const fs::path& file : library_sources()) {
    if (file.extension() != ".hpp") continue;
    for (const auto& [name, count] : public_functions_in(file)) {
      all += count;
      if (count > 20) found.insert(name);
    }
  }
  EXPECT_EQ(found, too_large);
  EXPECT_GT(all, 300u) << "they are not found any more";
}

TEST(Architecture, no_module_is_named_after_nothing) {
  for (const std::string folder : {"cpp/include/framecall", "cpp/src", "cpp/cli", "python/bindings"}) {
    for (const fs::path& file : sources_in(folder)) {
      for (std::string_view word : {"util", "common", "helper", "manager", "context", "misc"}) {
        EXPECT_EQ(file.stem().string().find(word), std::string::npos) << file;
      }
      EXPECT_NE(file.stem(), "framecall") << file << ": no header of everything";
    }
  }
}

}  // namespace
