// The table of methods: names.
#include "framecall/router.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace framecall::router_test {
namespace {

TEST(Router, names_of_the_protocol_are_refused) {
  Router router;
  const auto nothing = [](Request&) { return Response(); };
  for (const std::string name : {"rpc.health", "rpc.mine", "rpc.", "file.put", "file.mine", "file."}) {
    EXPECT_THROW(router.on(name, nothing), std::invalid_argument) << name;
    EXPECT_THROW(router.on_pool(name, nothing), std::invalid_argument) << name;
    EXPECT_THROW(router.on_later(name, [](Request, const Responder&) {}), std::invalid_argument) << name;
    EXPECT_THROW(router.on_stream(name, [](Request&, Stream&) { return Response(); }), std::invalid_argument) << name;
    EXPECT_THROW(router.on_stream_later(name, [](Request, const Responder&, const std::shared_ptr<Stream>&) {}),
                 std::invalid_argument)
        << name;
  }
  try {
    router.on("file.put", nothing);
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(),
                 "\"file.put\": names that begin with rpc. and file. belong to the protocol; choose another name");
  }
  EXPECT_THROW(router.on("", nothing), std::invalid_argument);
  EXPECT_EQ(router.find("file.mine"), nullptr);
}

TEST(Router, other_names_are_taken_and_replaced) {
  Router router;
  for (const std::string name : {"rpc", "file", "rpc_x", "filex.y", "echo", "upper", "echo"}) {
    router.on(name, [](Request&) { return Response(); }).summary = "mine";
    EXPECT_EQ(router.find(name)->summary, "mine") << name;
  }
}

TEST(Router, a_built_in_is_replaced_by_permission_only) {
  Router router;
  const auto mine = [](Request&) { return Response(Json("mine")); };
  for (const std::string name : {"rpc.health", "file.put"}) {
    EXPECT_THROW(router.on(name, mine), std::invalid_argument);
    router.replace_builtin(name);
    EXPECT_TRUE(router.find(name)->builtin) << "it answers until another one is there";
    router.on(name, mine).summary = "mine";
    EXPECT_FALSE(router.find(name)->builtin);
    EXPECT_EQ(router.find(name)->where, Method::Where::loop);
  }
  EXPECT_THROW(router.on("rpc.ping", mine), std::invalid_argument) << "the permission is for one name";
  EXPECT_NE(router.discover_text().find("mine"), std::string::npos);
  for (const std::string name : {"rpc.mine", "file.", "health", ""}) {
    EXPECT_THROW(router.replace_builtin(name), std::invalid_argument) << name;
  }
}

}  // namespace
}  // namespace framecall::router_test
