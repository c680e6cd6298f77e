#include "framecall/digest.hpp"
