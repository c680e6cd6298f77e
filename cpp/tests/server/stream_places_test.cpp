#include "server/stream_places.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "framecall/error.hpp"

namespace framecall::stream_places_test {
namespace {

// The message of the refusal, or "taken".
std::string attempt(StreamPlaces& places, std::string_view address) {
  try {
    places.take(address);
  } catch (const CallError& error) {
    EXPECT_EQ(error.code(), ErrorCode::resource_exhausted);
    return std::string(error.what()) + " " + error.data();
  }
  return "taken";
}

TEST(StreamPlaces, are_limited_for_one_address_and_for_all) {
  const auto places = std::make_shared<StreamPlaces>("max_streams", 3, 2);
  std::vector<std::shared_ptr<void>> taken = {places->take("a"), places->take("a")};
  EXPECT_EQ(attempt(*places, "a"),
            "3 streams of one address, which may have a share of them: max_streams is 3 {\"limit\": 2, \"got\": 3}");
  taken.push_back(places->take("b"));
  EXPECT_EQ(attempt(*places, "c"), "4 streams: max_streams is 3 {\"limit\": 3, \"got\": 4}");
}

TEST(StreamPlaces, are_free_again_when_the_last_pointer_is_gone) {
  const auto places = std::make_shared<StreamPlaces>("max_streams", 1, 1);
  auto first = places->take("a");
  auto second = first;
  first.reset();
  EXPECT_NE(attempt(*places, "b"), "taken");
  second.reset();
  EXPECT_EQ(attempt(*places, "b"), "taken");
  EXPECT_EQ(attempt(*places, "a"), "taken");
}

TEST(StreamPlaces, of_unix_sockets_have_no_share) {
  const auto places = std::make_shared<StreamPlaces>("max_streams", 3, 1);
  const std::vector<std::shared_ptr<void>> taken = {places->take(""), places->take(""), places->take("")};
  EXPECT_NE(attempt(*places, ""), "taken") << "but the limit of all";
}

TEST(StreamPlaces, may_be_given_back_after_the_end_of_the_server) {
  auto places = std::make_shared<StreamPlaces>("max_streams", 1, 1);
  const std::weak_ptr<StreamPlaces> watched = places;
  auto place = places->take("a");
  places.reset();
  EXPECT_FALSE(watched.expired());
  place.reset();
  EXPECT_TRUE(watched.expired());
}

}  // namespace
}  // namespace framecall::stream_places_test
