// parley as it would be without isolation, for the benchmark alone: the same host, linked with a
// spawner that loads plugins into it. It takes the place of host/plugin/spawner.cpp.
#include "in_process.hpp"

namespace parley {

class Spawner;

std::shared_ptr<Spawner> make_spawner() {
    return parity::in_process_spawner();
}

}  // namespace parley
