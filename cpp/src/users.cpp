#include "framecall/users.hpp"
