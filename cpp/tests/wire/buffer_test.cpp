#include "framecall/wire/buffer.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>

namespace framecall::buffer_test {
namespace {

TEST(Buffer, an_empty_one_has_nothing) {
  Buffer buffer;
  EXPECT_TRUE(buffer.empty());
  EXPECT_EQ(buffer.size(), 0u);
  EXPECT_EQ(buffer.view(), "");
  buffer.append("");
  buffer.append({});
  buffer.consume(0);
  buffer.release();
  EXPECT_TRUE(buffer.empty());
}

TEST(Buffer, is_a_queue_of_bytes) {
  std::mt19937 random(1);
  Buffer buffer;
  std::string model;
  for (int i = 0; i < 20000; ++i) {
    const std::size_t size = random() % (i % 100 == 0 ? 5000 : 50);
    switch (random() % 4) {
      case 0: {
        const std::string bytes(size, static_cast<char>('a' + i % 26));
        buffer.append(bytes);
        model += bytes;
        break;
      }
      case 1: {
        std::memset(buffer.prepare(size), '0' + i % 10, size);  // all of the room may be written
        const std::size_t count = size / 2;
        buffer.commit(count);
        model.append(count, static_cast<char>('0' + i % 10));
        break;
      }
      case 2: {
        const std::size_t count = std::min(size, model.size());
        buffer.consume(count);
        model.erase(0, count);
        break;
      }
      case 3: {
        if (i % 50 != 0) break;
        i % 100 != 0 ? buffer.clear() : buffer.release();
        model.clear();
        break;
      }
    }
    ASSERT_EQ(buffer.view(), model);
    ASSERT_EQ(buffer.size(), model.size());
    ASSERT_EQ(buffer.empty(), model.empty());
  }
}

TEST(Buffer, begins_at_a_multiple_of_its_alignment_however_it_grows) {
  Buffer buffer;
  std::string model;
  for (std::size_t size = 1; size < 3'000'000; size = size * 5 / 3 + 1) {
    const std::string bytes(size, static_cast<char>('a' + size % 26));
    buffer.append(bytes);
    model += bytes;
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % Buffer::alignment, 0u) << size;
    ASSERT_TRUE(buffer.view() == model) << size;
  }
}

TEST(Buffer, borrows_bytes_and_lets_go_of_them_once) {
  const std::string bytes(100, 'x');
  const auto owner = std::make_shared<int>(0);
  {
    Buffer first(bytes, owner);
    EXPECT_EQ(first.data(), bytes.data());
    Buffer second(std::move(first));
    second.consume(40);
    EXPECT_EQ(second.view(), std::string(60, 'x'));
    EXPECT_EQ(owner.use_count(), 2);
    second.append("y");  // theirs is not written to
    EXPECT_EQ(owner.use_count(), 1);
    EXPECT_EQ(second.view(), std::string(60, 'x') + "y");
    EXPECT_EQ(bytes, std::string(100, 'x'));
    const Buffer third(bytes, owner);
  }
  EXPECT_EQ(owner.use_count(), 1);
}

TEST(Buffer, moves_with_its_bytes) {
  Buffer first;
  first.append("first");
  const char* const data = first.data();
  Buffer second(std::move(first));
  EXPECT_EQ(second.view(), "first");
  EXPECT_EQ(second.data(), data);
  Buffer third;
  third.append("third");
  third = std::move(second);
  EXPECT_EQ(third.view(), "first");
}

TEST(Buffer, room_that_is_consumed_is_used_again) {
  Buffer buffer;
  buffer.append(std::string(200, 'x'));
  const char* const data = buffer.data();
  for (int i = 0; i < 1000; ++i) {
    buffer.consume(100);
    buffer.append(std::string(100, 'y'));
  }
  buffer.consume(200);
  buffer.append("z");
  EXPECT_EQ(buffer.data(), data);
}

TEST(Buffer, more_than_there_can_be_is_bad_alloc_and_changes_nothing) {
  Buffer buffer;
  EXPECT_THROW(buffer.prepare(SIZE_MAX), std::bad_alloc);
  buffer.append("0123456789");
  for (std::size_t size : {SIZE_MAX, SIZE_MAX - 9, SIZE_MAX - 10, SIZE_MAX / 2}) {
    EXPECT_THROW(buffer.prepare(size), std::bad_alloc) << size;
  }
  EXPECT_EQ(buffer.view(), "0123456789");
}

}  // namespace
}  // namespace framecall::buffer_test
