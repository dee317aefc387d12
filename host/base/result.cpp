#include "base/result.hpp"

namespace parley {

char const* name_of(Fault fault) {
    switch (fault) {
        case Fault::denied:
            return "denied";
        case Fault::not_found:
            return "not_found";
        case Fault::bad_input:
            return "bad_input";
        case Fault::conflict:
            return "conflict";
        case Fault::over_budget:
            return "over_budget";
        case Fault::timed_out:
            return "timed_out";
        case Fault::cancelled:
            return "cancelled";
        case Fault::peer_failed:
            return "peer_failed";
        case Fault::peer_gone:
            return "peer_gone";
        case Fault::unavailable:
            return "unavailable";
        case Fault::secret:
            return "secret";
        case Fault::internal:
            return "internal";
    }
    return "internal";
}

}  // namespace parley
