#include "framecall/command_table.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <stdexcept>
#include <string>
#include <system_error>

#include "support/temporary_folder.hpp"

namespace framecall::command_table_test {
namespace {

CommandTable table(const std::string& toml) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "commands.toml") << toml;
  return CommandTable(folder.path() / "commands.toml");
}

TEST(CommandTable, runs_what_it_has_and_nothing_else) {
  const CommandTable commands = table(R"(
["say hello"]
run = ["sh", "-c", "echo out; echo err >&2; echo out again; exit 3"]
[motd]
text = "welcome\n"
[nothing]
run = ["true"]
["read"]
run = ["cat"]
)");
  EXPECT_TRUE(commands.has("say hello"));
  EXPECT_TRUE(commands.has("  motd\r\n"));
  EXPECT_FALSE(commands.has("say"));
  EXPECT_FALSE(commands.has(""));
  EXPECT_EQ(commands.run("say hello"), "out\nout again\nerr\n");
  EXPECT_EQ(commands.run(" motd "), "welcome\n");
  EXPECT_EQ(commands.run("nothing"), "");
  EXPECT_EQ(commands.run("read"), "") << "standard input is empty";
  for (const std::string line : {"motd; id", "motd && id", "id", "$(id)", "sh -c id", "MOTD"}) {
    EXPECT_EQ(commands.run(line), "unknown command: " + line + "\n");
  }
  EXPECT_EQ(CommandTable().run("motd"), "unknown command: motd\n");
}

TEST(CommandTable, says_what_went_wrong_with_a_program) {
  CommandTable commands = table(R"(
[missing]
run = ["/no/such/program"]
[slow]
run = ["sh", "-c", "echo begun; sleep 600 & wait"]
[much]
run = ["sh", "-c", "yes | head -c 20000000"]
)");
  EXPECT_EQ(commands.run("missing"), "/no/such/program: No such file or directory\n");
  const std::string much = commands.run("much");
  EXPECT_EQ(much.substr(CommandTable::max_output), "\n[cut: more than 16777216 bytes, max_output]\n");
  commands.set_timeout(std::chrono::milliseconds(200));
  EXPECT_EQ(commands.run("slow"), "begun\n\n[killed: it ran for more than 200 ms]\n");
}

TEST(CommandTable, refuses_a_file_that_is_wrong_with_its_line) {
  for (const std::string toml :
       {"[a]\nrun = []\n", "[a]\nrun = [1]\n", "[a]\n", "[a]\ntext = 1\n", "[a]\nrun = [\"x\"]\ntext = \"y\"\n",
        "[a]\ntext = \"x\"\nmore = 1\n", "a = 1\n", "[a\n", "[\" \"]\ntext = \"x\"\n"}) {
    try {
      table(toml);
      ADD_FAILURE() << toml;
    } catch (const std::invalid_argument& error) {
      const bool third = toml.find("more") != std::string::npos;
      EXPECT_NE(std::string(error.what()).find(third ? "commands.toml:3: " : "commands.toml:1: "), std::string::npos)
          << error.what();
    }
  }
  EXPECT_THROW(CommandTable("/no/such/file"), std::system_error);
}

}  // namespace
}  // namespace framecall::command_table_test
