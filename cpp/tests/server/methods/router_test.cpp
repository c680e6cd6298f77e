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

}  // namespace
}  // namespace framecall::router_test
