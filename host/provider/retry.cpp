#include "provider/retry.hpp"

#include "base/limits.hpp"

#include <algorithm>
#include <string_view>

namespace parley {

namespace {

using std::chrono::milliseconds;

milliseconds share_of(milliseconds whole, double share) {
    return milliseconds(static_cast<std::int64_t>(static_cast<double>(whole.count()) * share));
}

milliseconds wait_before(AnswerFault const& fault, int tries, double chance) {
    milliseconds const most = limits::model_retry_last;
    auto own = std::min(most, milliseconds(limits::model_retry_first) * (1 << std::min(tries, 10)));
    own -= share_of(own / 4, chance);
    auto asked = std::min<milliseconds>(fault.retry_after, limits::model_wait_most);
    // All were told the same moment; they need not all come back in it.
    asked += share_of(std::min<milliseconds>(asked / 4, std::chrono::seconds(1)), chance);
    return std::max(own, asked);
}

// A matter of the account, the place or the moment, which with another model may be another. What a
// rule, a hook or the request itself is the cause of stays as it is.
bool may_be_otherwise_elsewhere(AnswerFault const& fault) {
    static constexpr std::string_view codes[] = {"auth", "money",   "rate",    "overloaded",
                                                 "peer", "cut_off", "timeout", "internal"};
    switch (fault.fault) {
        case Fault::denied:
        case Fault::cancelled:
        case Fault::bad_input:
        case Fault::secret:
            return fault.retryable;
        case Fault::timed_out:
        case Fault::peer_gone:
        case Fault::unavailable:
            return true;
        default:
            break;
    }
    return fault.retryable ||
           std::find(std::begin(codes), std::end(codes), fault.code) != std::end(codes);
}

}  // namespace

AfterFault after_fault(AnswerFault const& fault, int tries, bool has_next, double chance) {
    bool goes_on = has_next && may_be_otherwise_elsewhere(fault);
    if (fault.retryable && tries < limits::retries_per_model_call) {
        auto wait = wait_before(fault, tries, chance);
        if (!goes_on || wait <= limits::model_wait_before_fallback)
            return {AfterFault::Kind::again, wait};
    }
    return {goes_on ? AfterFault::Kind::next : AfterFault::Kind::end, milliseconds(0)};
}

}  // namespace parley
