#include "framecall/detail/settings.hpp"

#include <gtest/gtest.h>

#include <set>

#include "framecall/wire/json.hpp"

namespace framecall {
namespace {

TEST(Settings, names_are_unique_and_texts_have_no_full_stop) {
  std::set<std::string_view> names;
  for (const Setting& setting : server_settings()) {
    EXPECT_TRUE(names.insert(setting.name).second) << setting.name;
    EXPECT_EQ(find_setting(setting.name), &setting);
    EXPECT_FALSE(setting.help.empty()) << setting.name;
    EXPECT_FALSE(setting.help.ends_with('.')) << setting.name;
    EXPECT_TRUE(setting.details.empty() || setting.details.ends_with('.')) << setting.name;
    EXPECT_TRUE(setting.serve || setting.python) << setting.name;
  }
  EXPECT_EQ(find_setting("max_bod"), nullptr);
}

TEST(Settings, a_row_has_its_names_and_its_default) {
  const Setting& body = *find_setting("max_body");
  EXPECT_EQ(body.flag(), "--max-body");
  EXPECT_EQ(body.variable(), "FRAMECALL_MAX_BODY");
  EXPECT_EQ(body.named(SettingSource::option), "ServerOptions::max_body");
  EXPECT_EQ(body.default_text(), "64M");
  EXPECT_EQ(body.expected(), "0 or more bytes");
  EXPECT_EQ(find_setting("handler_threads")->named(SettingSource::option), "ServerOptions::batch_threads");
  EXPECT_EQ(find_setting("idle_timeout")->default_text(), "600");
  EXPECT_EQ(find_setting("access")->default_text(), "read,write");
  EXPECT_EQ(find_setting("max_file")->default_text(), "no limit");
}

TEST(Settings, the_table_is_available_as_json) {
  const Json rows = parse_json(settings_json());
  ASSERT_EQ(rows.size(), server_settings().size());
  for (const Json& one : rows) {
    if (one["name"] != "max_body") continue;
    EXPECT_EQ(one["type"], "bytes");
    EXPECT_EQ(one["default"], 64 << 20);
    EXPECT_EQ(one["default_text"], "64M");
    EXPECT_EQ(one["flag"], "--max-body");
    EXPECT_EQ(one["variable"], "FRAMECALL_MAX_BODY");
    EXPECT_EQ(one["change"], "reload");
  }
}

}  // namespace
}  // namespace framecall
