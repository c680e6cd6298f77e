#include "server/command_runner.hpp"

#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <thread>

#include "support/peer.hpp"
#include "support/temporary_folder.hpp"

namespace framecall::command_runner_test {
namespace {

std::shared_ptr<const CommandTable> table() {
  const TemporaryFolder folder;
  make_file(folder / "commands.toml", R"(
[endless]
run = ["sleep", "600"]
[hello]
run = ["echo", "hello"]
[motd]
text = "welcome\n"
)");
  return std::make_shared<const CommandTable>(folder / "commands.toml");
}

// What the commands of each name have answered.
class Outputs {
 public:
  void run(CommandRunner& runner, const std::string& address, const std::string& line, const std::string& name) {
    runner.run(address, line, [this, name](std::string output) {
      const std::lock_guard lock(mutex_);
      outputs_[name] = std::move(output);
      threads_[name] = std::this_thread::get_id();
      changed_.notify_all();
    });
  }
  std::string of(const std::string& name) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, patience, [&] { return outputs_.contains(name); });
    return outputs_[name];
  }
  bool has(const std::string& name) {
    const std::lock_guard lock(mutex_);
    return outputs_.contains(name);
  }
  std::thread::id thread_of(const std::string& name) { return threads_[name]; }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::string> outputs_;
  std::map<std::string, std::thread::id> threads_;
};

TEST(CommandRunner, runs_a_command_on_a_thread_of_its_own) {
  Outputs outputs;
  CommandRunner runner(table(), 4);
  outputs.run(runner, "a", "hello", "hello");
  outputs.run(runner, "a", "motd", "motd");
  EXPECT_EQ(outputs.of("hello"), "hello\n");
  EXPECT_EQ(outputs.of("motd"), "welcome\n");
  EXPECT_NE(outputs.thread_of("hello"), std::this_thread::get_id());
}

TEST(CommandRunner, one_address_has_half_of_the_places_and_all_have_no_more_than_there_are) {
  Outputs outputs;
  {
    CommandRunner runner(table(), 3);
    outputs.run(runner, "a", "endless", "a1");
    outputs.run(runner, "a", "endless", "a2");
    EXPECT_EQ(outputs.of("a2"),
              "too many commands: 1 are running, 1 of them for this address; max_commands is 3, half of it for one "
              "address\n");
    outputs.run(runner, "b", "endless", "b");
    outputs.run(runner, "c", "endless", "c");
    outputs.run(runner, "d", "hello", "d");
    EXPECT_TRUE(outputs.of("d").starts_with("too many commands: 3 are running, 0 of them for this address;"));
    for (const char* name : {"a1", "b", "c"}) EXPECT_FALSE(outputs.has(name)) << name;
  }
  for (const char* name : {"a1", "b", "c"}) EXPECT_TRUE(outputs.has(name)) << name << " was not killed";
}

TEST(CommandRunner, a_command_that_is_over_frees_its_place_before_it_answers) {
  Outputs outputs;
  CommandRunner runner(table(), 1);
  for (int i = 0; i < 20; ++i) {
    const std::string name = std::to_string(i);
    outputs.run(runner, "a", "hello", name);
    EXPECT_EQ(outputs.of(name), "hello\n");
  }
}

TEST(CommandRunner, an_answer_that_finds_no_memory_is_given_again) {
  CommandRunner runner(table(), 2);
  std::mutex mutex;
  std::condition_variable changed;
  int calls = 0;
  std::string got;
  runner.run("a", "hello", [&](std::string output) {
    const std::lock_guard lock(mutex);
    if (++calls == 1) throw std::bad_alloc();
    got = std::move(output);
    changed.notify_all();
  });
  std::unique_lock lock(mutex);
  EXPECT_TRUE(changed.wait_for(lock, patience, [&] { return !got.empty(); })) << "the thread, and the server, live on";
  EXPECT_NE(got.find("hello"), std::string::npos) << got;
}

}  // namespace
}  // namespace framecall::command_runner_test
