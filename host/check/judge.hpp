#pragma once

// What a plugin says while it is tormented, held against the schemas of the SDK, its manifest and
// the host's own rules. Only what the one check is about is told. Room-private.
#include "check/subject.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

namespace parley {

class Schema;

class Judge {
public:
    Judge(Rule const& rule, Subject const& subject, WorkerSpec const& spec, std::string canary);
    ~Judge();

    // One frame of the play; complaints go into the verdict.
    void hear(std::uint16_t type, std::uint64_t id, std::string_view body, Verdict& verdict);

private:
    void complain(Verdict& verdict, std::string what);
    void hold(std::uint32_t verb, char const* part, std::string_view text, std::string const& what,
              Verdict& verdict);
    Schema const* schema(std::uint32_t verb, char const* part);
    void hold_files(std::uint32_t verb, std::string_view text, Verdict& verdict);
    void look_for_canary(std::string_view where, std::string_view bytes, Verdict& verdict);
    void hear_http(std::string_view request, std::string_view body, Verdict& verdict);
    void hear_stream(std::uint64_t id, std::string_view request, Verdict& verdict);
    void hear_ws(std::uint64_t id, std::string_view request, Verdict& verdict);
    // `judge`: what the host would say of the write.
    using JudgeWrite = Result<>(WorkerSpec const&, std::string_view request,
                                std::string_view inject);
    void hear_write(std::uint64_t id, std::string_view inject, JudgeWrite& judge, Verdict& verdict);
    // The slots of a request or of a write are judged when each secret in them is declared.
    bool names_declared_secrets(std::string_view inject, Verdict& verdict);
    bool is(std::string_view rule) const;

    Rule const& rule_;
    Subject const& subject_;
    WorkerSpec const& spec_;
    std::string canary_;
    std::map<std::uint64_t, std::uint32_t> verbs_;  // of calls
    std::map<std::uint64_t, std::string> streams_;  // what they, and WebSockets, were opened with
    std::map<std::string, std::unique_ptr<Schema>> schemas_;
    std::set<std::string> said_;
};

}  // namespace parley
