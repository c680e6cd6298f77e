#include "framecall/udp_client.hpp"
