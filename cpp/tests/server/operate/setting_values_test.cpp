#include "framecall/detail/setting_values.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <stdexcept>

#include "framecall/detail/file_store.hpp"
#include "framecall/server.hpp"
#include "support/temporary_folder.hpp"

namespace framecall {
namespace {

using Texts = std::vector<std::string>;

std::string problem_of(auto action) {
  try {
    action();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return {};
}

std::string problem_with(std::string_view name, const Texts& texts, SettingSource source = SettingSource::flag) {
  ServerSettings settings;
  return problem_of([&] { set_text(settings, *find_setting(name), texts, source); });
}

std::uint64_t number_of(const ServerSettings& settings, std::string_view name) {
  return std::get<std::uint64_t>(find_setting(name)->get(settings));
}

TEST(SettingValues, every_default_is_allowed_and_can_be_written_as_text) {
  for (const Setting& setting : server_settings()) {
    ServerSettings settings;
    if (!setting.unset.empty()) continue;
    const std::string text = setting.default_text();
    Texts texts = {text};
    if (setting.type == SettingType::list) texts = std::get<Texts>(setting.get(settings));
    set_text(settings, setting, texts, SettingSource::flag);
    EXPECT_EQ(setting.get(settings), setting.get(ServerSettings())) << setting.name << " " << text;
  }
}

TEST(SettingValues, a_value_is_stored_where_its_row_says) {
  ServerSettings settings;
  const auto set = [&](std::string_view name, const Texts& texts) {
    set_text(settings, *find_setting(name), texts, SettingSource::flag);
  };
  set("max_body", {"2M"});
  set("max_header", {"64K"});
  set("idle_timeout", {"0.5"});
  set("peer_share", {"10"});
  set("quota", {"1G"});
  set("access", {"read", "no-remove"});
  set("quiet", {"true"});
  EXPECT_EQ(settings.options.max_body, 2u << 20);
  EXPECT_EQ(settings.options.max_header, 64u << 10);
  EXPECT_EQ(settings.options.idle_timeout, std::chrono::milliseconds(500));
  EXPECT_EQ(settings.options.peer_share, 10u);
  EXPECT_EQ(settings.files.quota, 1u << 30);
  EXPECT_EQ(settings.access, (Texts{"read", "no-remove"}));
  EXPECT_TRUE(settings.quiet);
  EXPECT_EQ(settings.sources.at("max_body"), SettingSource::flag);
  EXPECT_FALSE(settings.sources.contains("max_file"));
}

TEST(SettingValues, numbers_keep_to_their_range) {
  for (const Setting& setting : server_settings()) {
    if (!std::holds_alternative<std::uint64_t>(setting.get(ServerSettings()))) continue;
    for (const std::uint64_t value : {setting.least, setting.most}) {
      ServerSettings settings;
      set_value(settings, setting, value, SettingSource::keyword);
      EXPECT_EQ(number_of(settings, setting.name), value) << setting.name;
    }
    ServerSettings settings;
    const auto set = [&](std::uint64_t value) {
      return problem_of([&] { set_value(settings, setting, value, SettingSource::keyword); });
    };
    EXPECT_NE(set(setting.most + 1), "") << setting.name;
    if (setting.least > 0) {
      EXPECT_NE(set(setting.least - 1), "") << setting.name;
    }
  }
}

TEST(SettingValues, an_error_names_the_setting_as_its_source_writes_it) {
  EXPECT_EQ(problem_with("max_header", {"1"}), "--max-header: expected 2 .. 16777215 bytes, got 1");
  EXPECT_EQ(problem_with("max_header", {"1"}, SettingSource::environment),
            "FRAMECALL_MAX_HEADER: expected 2 .. 16777215 bytes, got 1");
  EXPECT_EQ(problem_with("max_header", {"1"}, SettingSource::keyword),
            "max_header: expected 2 .. 16777215 bytes, got 1");
  EXPECT_EQ(problem_with("max_header", {"1"}, SettingSource::file),
            "--config: max-header: expected 2 .. 16777215 bytes, got 1");
  EXPECT_EQ(problem_with("max_body", {"lots"}, SettingSource::environment),
            "FRAMECALL_MAX_BODY: \"lots\" is not a size; use bytes such as 64, 64K, 1.5M or 2G");
  EXPECT_EQ(problem_with("idle_timeout", {"x"}),
            "--idle-timeout: \"x\" is not a duration; use seconds such as 10 or 2.5, or 500ms, 2min, 1h");
  EXPECT_EQ(problem_with("header_timeout", {"0"}), "--header-timeout: expected 0.001 .. 1000000000 seconds, got 0");
  EXPECT_EQ(problem_with("max_in_flight", {"0"}), "--max-in-flight: expected 1 or more, got 0");
  EXPECT_EQ(problem_with("max_in_flight", {"many"}), "--max-in-flight: expected 1 or more, got \"many\"");
  EXPECT_EQ(problem_with("max_udp_rate", {"-1"}), "--max-udp-rate: expected 0 .. 4294967295, got \"-1\"");
  EXPECT_EQ(problem_with("durability", {"some"}), "--durability: expected none, close, full, got \"some\"");
  EXPECT_EQ(problem_with("access", {"read", "x\n"}),
            "--access: expected read, write, no-replace, no-remove, got \"x\\x0a\"");
  EXPECT_EQ(problem_with("protocols", {}), "--protocols: expected frames, echo, http, got none");
  EXPECT_EQ(problem_with("quiet", {"maybe"}), "--quiet: expected true or false, got \"maybe\"");
}

TEST(SettingValues, a_server_checks_its_options_by_the_table) {
  const auto problem = [](auto change) {
    ServerOptions options;
    change(options);
    return problem_of([&] { Server server(std::move(options)); });
  };
  EXPECT_EQ(problem([](ServerOptions& options) { options.max_header = 1; }),
            "ServerOptions::max_header: expected 2 .. 16777215 bytes, got 1");
  EXPECT_EQ(problem([](ServerOptions& options) { options.peer_share = 101; }),
            "ServerOptions::peer_share: expected 1 .. 100 percent, got 101");
  EXPECT_EQ(problem([](ServerOptions& options) { options.batch_threads = 0; }),
            "ServerOptions::batch_threads: expected 1 .. 10000, got 0");
  EXPECT_NE(problem([](ServerOptions& options) { options.idle_timeout = std::chrono::milliseconds(-1); }), "");
  EXPECT_EQ(problem([](ServerOptions&) {}), "");
}

TEST(SettingValues, files_are_opened_and_durability_is_passed_on) {
  const TemporaryFolder folder;
  ServerSettings settings;
  EXPECT_EQ(open_root(settings), nullptr);
  EXPECT_EQ(open_settings(settings).put_durability, Durability::full);
  settings.root = folder.path().string();
  EXPECT_EQ(open_root(settings)->options().durability, Durability::close);
  settings.durability = "none";
  settings.access = {"read"};
  EXPECT_EQ(open_root(settings)->options().durability, Durability::none);
  EXPECT_FALSE(open_root(settings)->options().access.write);
  EXPECT_EQ(open_settings(settings).put_durability, Durability::none);

  const std::string file = (folder.path() / "commands").string();
  std::ofstream(file) << "[motd]\ntext = \"hello\"\n";
  settings.commands = file;
  EXPECT_TRUE(open_settings(settings).commands->has("motd"));
}

TEST(SettingValues, users_need_a_dialect_with_a_login) {
  ServerSettings settings;
  set_text(settings, *find_setting("users"), {"FILE"}, SettingSource::environment);
  EXPECT_EQ(
      problem_of([&] { open_settings(settings); }),
      "FRAMECALL_USERS: the dialect \"default\" has no login; set login.form in a dialect file, or use the dialect "
      "login");
}

}  // namespace
}  // namespace framecall
