#pragma once

// A Result is a value or an Error. Failing is an ordinary outcome here: nothing throws across
// a room's door. A Fault is named for what the caller can do about it.
#include <boost/assert/source_location.hpp>

#include <cassert>
#include <functional>
#include <string>
#include <utility>
#include <variant>

namespace parley {

enum class Fault {
    denied,       // a rule says no; asking again changes nothing
    not_found,    // the thing named does not exist
    bad_input,    // the caller's bytes are wrong; the message says where
    conflict,     // true of another state than the present one; look again
    over_budget,  // a cap would be crossed
    timed_out,    // the limit passed; the outcome may be unknown
    cancelled,    // somebody stopped it; a normal end
    peer_failed,  // the other side (worker, service, model) failed
    peer_gone,    // it died in the middle; started again, it may serve the next call
    unavailable,  // not now: starting, draining, full
    secret,       // a secret stood where none may stand
    internal,     // our defect
};

char const* name_of(Fault fault);

// What went wrong, for a person to read, and where it was first noticed.
struct Error {
    Fault fault;
    std::string what;
    boost::source_location where;

    explicit Error(Fault fault, std::string what,
                   boost::source_location where = BOOST_CURRENT_LOCATION)
        : fault(fault), what(std::move(what)), where(where) {}
};

template <class T = std::monostate>
class [[nodiscard]] Result {
public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    explicit operator bool() const { return state_.index() == 0; }

    // Only after the test above said yes.
    T& operator*() & { return value(); }
    T const& operator*() const& { return const_cast<Result*>(this)->value(); }
    T&& operator*() && { return std::move(value()); }
    T* operator->() { return &value(); }
    T const* operator->() const { return &const_cast<Result*>(this)->value(); }

    Error const& error() const& {
        assert(state_.index() == 1);
        return *std::get_if<1>(&state_);
    }
    Error&& error() && { return std::move(*std::get_if<1>(&state_)); }

private:
    T& value() {
        assert(state_.index() == 0);
        return *std::get_if<0>(&state_);
    }

    std::variant<T, Error> state_;
};

inline Result<> ok() { return std::monostate{}; }

// Told exactly once, on the event thread, never from inside the call that took it.
template <class T = std::monostate>
using Later = std::function<void(Result<T>)>;

#define PARLEY_JOIN_(a, b) a##b
#define PARLEY_JOIN(a, b) PARLEY_JOIN_(a, b)
#define PARLEY_TRY_(temporary, name, expression)                \
    auto temporary = expression;                                \
    if (!temporary) return std::move(temporary).error();        \
    [[maybe_unused]] auto name = *std::move(temporary)

// TRY(name, expression): name the value, or leave with the error.
#define TRY(name, expression) PARLEY_TRY_(PARLEY_JOIN(try_, __LINE__), name, expression)
// MUST(expression): go on only if it succeeded.
#define MUST(expression)                                    \
    do {                                                    \
        auto must_be = expression;                          \
        if (!must_be) return std::move(must_be).error();    \
    } while (false)

}  // namespace parley
