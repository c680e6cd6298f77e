// The floors of the house, read off the sources: what may include what.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

// A new module has to be put on a floor here; `include/framecall/x.hpp`, `src/x.hpp` and `src/x.cpp` are the module x.
// clang-format off: a line for each floor or so
const std::vector<std::set<std::string>> floors = {
    {"buffer", "digest", "endpoint", "error", "header", "json", "json_reader", "json_text",
     "suggestion"},                                       // text and values
    {"advice", "dialect", "dialect_file", "first_bytes", "frame"},  // bytes to events
    {"call", "file_options", "file_store", "file_upload", "file_usage", "folder", "method", "parameters", "part_file",
     "reply", "responder", "router", "store_folders", "users"},  // files, calls as values
    {"async_link", "calls",           "client_call",  "client_connection", "client_options", "command_table",
     "connection", "connection_pool", "conversation", "event_loop",        "file_calls",     "lead",
     "out_queue",  "peer_stream",     "reply_reader", "server_options",    "sockets",        "stream",
     "suspend",    "udp_service",     "work",         "command_runner",    "login_queue",
     "rate_table",     "fair_queue",    "memory_budget",     "worker_threads"},  // Asio and sockets begin here
    {"async_client", "awaitable", "client", "dialect_client", "file_client", "raw_client", "server",
     "udp_client"},  // what a program uses
};
// clang-format on
constexpr int first_floor_with_sockets = 3;

// Programs on top of the library: they see its public headers and their own files.
const std::vector<std::string> top_floor = {"cpp/cli", "python/bindings"};

// Headers that floors 0 to 2 do without: Asio, sockets, threads, clocks. (A lock is no thread, nor is a stop_token.)
const std::vector<std::string> kept_out = {
    "asio",      "boost/",  "sys/socket.h", "sys/un.h",   "sys/epoll.h",  "sys/select.h", "netinet/",
    "arpa/",     "netdb.h", "poll.h",       "net/",       "thread",       "future",       "condition_variable",
    "semaphore", "latch",   "barrier",      "pthread.h",  "signal.h",     "csignal",      "sys/sendfile.h",
    "chrono",    "ctime",   "time.h",       "sys/time.h", "sys/timerfd.h"};

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
  for (const auto& entry : fs::directory_iterator(root / folder)) {
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

int floor_of(const std::string& module) {
  for (std::size_t floor = 0; floor < floors.size(); ++floor) {
    if (floors[floor].contains(module)) return static_cast<int>(floor);
  }
  return -1;
}

bool is_public(const std::string& name) {
  return name == "framecall/version.hpp" || (name.starts_with("framecall/") && fs::exists(root / "cpp/include" / name));
}

TEST(Architecture, every_module_has_a_floor) {
  std::set<std::string> found;
  for (const fs::path& file : library_sources()) {
    found.insert(file.stem());
    EXPECT_GE(floor_of(file.stem()), 0) << file << " is on no floor";
  }
  for (const auto& floor : floors) {
    for (const std::string& module : floor) EXPECT_TRUE(found.contains(module)) << module << " is gone";
  }
}

TEST(Architecture, includes_go_down_only) {
  std::size_t count = 0;
  for (const fs::path& file : library_sources()) {
    const int own = floor_of(file.stem());
    for (const Include& include : includes_of(file)) {
      if (!include.quoted) {
        EXPECT_FALSE(include.name.starts_with("framecall/"))
            << file << " includes <" << include.name << ">: use quotes";
        continue;
      }
      ++count;
      const int other = floor_of(fs::path(include.name).stem());
      const bool here = is_public(include.name) || fs::exists(root / "cpp/src" / include.name);
      EXPECT_TRUE(here) << file << " includes " << include.name << ", which is not of the library";
      EXPECT_LE(other, own) << file << " includes " << include.name << ", which is upstairs";
      EXPECT_FALSE(own == 2 && other == 1) << file << " includes " << include.name << ": floor 2 does not know frames";
      if (file.parent_path().filename() == "framecall") {
        EXPECT_TRUE(is_public(include.name)) << file << " is public and includes " << include.name;
      }
    }
  }
  EXPECT_GT(count, 20u);
}

TEST(Architecture, headers_do_not_include_each_other_in_a_circle) {
  std::map<std::string, std::set<std::string>> below;  // header -> all that it brings along
  for (const fs::path& file : library_sources()) {
    if (file.extension() != ".hpp") continue;
    for (const Include& include : includes_of(file)) {
      if (include.quoted) below[file.stem()].insert(fs::path(include.name).stem());
    }
  }
  for (std::size_t round = 0; round < below.size(); ++round) {
    for (auto& [header, all] : below) {
      for (const std::string& other : std::set<std::string>(all)) all.insert(below[other].begin(), below[other].end());
    }
  }
  for (const auto& [header, all] : below) EXPECT_FALSE(all.contains(header)) << header;
}

TEST(Architecture, floors_0_to_2_know_no_sockets_threads_and_clocks) {
  std::size_t count = 0;
  for (const fs::path& file : library_sources()) {
    if (floor_of(file.stem()) >= first_floor_with_sockets) continue;
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
        const bool own = include.name.find('/') == std::string::npos && fs::exists(root / folder / include.name);
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
