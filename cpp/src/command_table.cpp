#include "framecall/command_table.hpp"
