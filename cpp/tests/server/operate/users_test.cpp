#include "framecall/users.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <stdexcept>
#include <string>
#include <system_error>

#include "support/temporary_folder.hpp"

namespace framecall::users_test {
namespace {

TEST(Users, know_their_passwords_and_no_others) {
  Users users;
  users.set("ann", "secret");
  users.set("b ob", "p\xc3\xa4ss:w$rd");
  EXPECT_TRUE(users.check("ann", "secret"));
  EXPECT_TRUE(users.check("b ob", "p\xc3\xa4ss:w$rd"));
  for (const auto& [name, password] :
       {std::pair{"ann", "Secret"}, {"ann", ""}, {"ann", "secret "}, {"bob", "secret"}, {"", "secret"}, {"", ""}}) {
    EXPECT_FALSE(users.check(name, password)) << name << " " << password;
  }
  users.set("ann", "other");
  EXPECT_TRUE(users.check("ann", "other"));
  EXPECT_FALSE(users.check("ann", "secret"));
  EXPECT_EQ(users.size(), 2u);
  EXPECT_TRUE(users.remove("ann"));
  EXPECT_FALSE(users.remove("ann"));
  EXPECT_FALSE(users.check("ann", "other"));
  EXPECT_EQ(users.size(), 1u);
}

TEST(Users, survive_a_file_with_its_comments) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "users";
  Users users;
  users.set("ann", "secret");
  users.set("bob", "secret");
  users.save(path);
  struct stat status{};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  const std::string lines = content_of(path);
  EXPECT_EQ(lines.find("secret"), std::string::npos);
  const std::string first = lines.substr(0, lines.find('\n')), second = lines.substr(lines.find('\n') + 1);
  EXPECT_NE(first.substr(4), second.substr(4, first.size() - 4)) << "equal passwords, equal salts";

  std::ofstream(path) << "# who may\n\n" << first << "\r\n# and\n" << second;
  Users read(path);
  EXPECT_TRUE(read.check("ann", "secret"));
  EXPECT_TRUE(read.check("bob", "secret"));
  read.remove("ann");
  read.save(path);
  EXPECT_EQ(content_of(path), "# who may\n\n# and\n" + second);
  EXPECT_THROW(Users(folder.path() / "none"), std::system_error);
  EXPECT_THROW(read.save(folder.path() / "no folder" / "users"), std::system_error);
}

TEST(Users, of_a_file_that_is_wrong_are_refused_with_the_line) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "users";
  const std::string salt = "AAAAAAAAAAAAAAAAAAAAAA==", hash = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
  const std::string good = "x:scrypt$16384$8$1$" + salt + "$" + hash;
  for (const std::string& line :
       {std::string("no colon"), std::string(":scrypt$1$1$1$a$b"), std::string("ann:secret"),
        "ann:scrypt$16383$8$1$" + salt + "$" + hash, "ann:scrypt$16384$8$1$" + salt + "$",
        "ann:scrypt$16384$8$1$%%%%$" + hash, "ann:bcrypt$16384$8$1$" + salt + "$" + hash,
        "ann:scrypt$1073741824$64$1$" + salt + "$" + hash,  // 8 TiB of memory
        "ann:scrypt$16384$8$1$" + salt + "$AAAA", "ann:scrypt$16384$8$-1$" + salt + "$" + hash, good}) {
    std::ofstream(path) << "# comment\n" << good << "\n" << line << "\n";
    try {
      const Users users(path);
      ADD_FAILURE() << line;
    } catch (const std::invalid_argument& error) {
      EXPECT_NE(std::string(error.what()).find("users:3: "), std::string::npos) << error.what();
    }
  }
}

TEST(Users, have_names_that_fit_into_a_line) {
  Users users;
  for (const std::string& name : {std::string(), std::string("a:b"), std::string("a\nb"), std::string("#a"),
                                  std::string(256, 'a'), std::string("a\x7f")}) {
    EXPECT_THROW(users.set(name, "x"), std::invalid_argument) << name;
  }
  EXPECT_THROW(users.set("ann", ""), std::invalid_argument);
  users.set("\xe4\xbd\xa0", "\xe5\xa5\xbd");
  EXPECT_TRUE(users.check("\xe4\xbd\xa0", "\xe5\xa5\xbd"));
}

}  // namespace
}  // namespace framecall::users_test
