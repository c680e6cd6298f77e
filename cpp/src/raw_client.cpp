#include "framecall/raw_client.hpp"
