#include "framecall/command_table.hpp"
namespace framecall {
bool CommandTable::has(std::string_view) const { return false; }
std::string CommandTable::run(std::string_view) const { return {}; }
}  // namespace framecall
namespace framecall { CommandTable::CommandTable(const std::filesystem::path&) {} }
