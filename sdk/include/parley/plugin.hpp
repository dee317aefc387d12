#pragma once

// The author's layer over plugin.h, header-only C++20: a plugin is a class with virtual verbs, a
// call is an object that ends exactly once, and host services take callbacks.
//
// All verbs and callbacks run on the strand, one at a time. Call's functions and Host::log may be
// used from any thread; the other services belong on the strand. An exception that leaves a verb
// or a callback ends its call with the code "internal" and the exception's text.
#include "parley/call.hpp"
#include "parley/host.hpp"
#include "parley/json.hpp"
#include "parley/plugin.h"

#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace parley {
inline namespace sdk_1 {

// ---- Roles. Derive from those that the manifest names; override what the plugin can do. --------
// A verb returns fast and keeps the Call until it can end it. What is not overridden is not
// offered.

class Channel {
public:
    virtual ~Channel() = default;
    virtual void run(Call call, Json request) = 0;
    virtual void send(Call call, Json request) = 0;
    virtual void edit(Call call, Json) { call.fail("unsupported", "no such verb"); }
    virtual void typing(Call call, Json) { call.fail("unsupported", "no such verb"); }
    virtual void draft(Call call, Json) { call.fail("unsupported", "no such verb"); }
};

class Provider {
public:
    virtual ~Provider() = default;
    virtual void generate(Call call, Json request) = 0;
    virtual void list_models(Call call, Json) { call.fail("unsupported", "no such verb"); }
    virtual void count_tokens(Call call, Json) { call.fail("unsupported", "no such verb"); }
    virtual void embed(Call call, Json) { call.fail("unsupported", "no such verb"); }
};

class Skill {
public:
    virtual ~Skill() = default;
    virtual void invoke(Call call, Json request) = 0;
    virtual void reconcile(Call call, Json) { call.fail("unsupported", "no such verb"); }
    virtual void preview(Call call, Json) { call.fail("unsupported", "no such verb"); }
    virtual void list_dynamic(Call call, Json) { call.fail("unsupported", "no such verb"); }
};

class Hook {
public:
    virtual ~Hook() = default;
    virtual void on_event(Call call, Json request) = 0;
};

// The C side of a plugin class. Its public constructor is Type(Host&, Json const& config); if that
// throws, the plugin is not made and the text is logged.
template <class Type>
struct Entry {
    struct Instance {
        explicit Instance(parley_host const* lender) : runtime(lender), host(runtime) {}
        detail::Runtime runtime;
        Host host;
        std::unique_ptr<Type> plugin;
    };

    static parley_status create(parley_host const* lender, char const* config, std::size_t size,
                                void** self) noexcept {
        auto refuse = [&](std::string_view why) {
            lender->log(lender, PARLEY_LOG_ERROR, why.data(), why.size());
            return PARLEY_E_INVALID;
        };
        try {
            std::string why;
            Json const settings =
                Json::parse(size > 0 ? std::string_view(config, size) : "{}", &why);
            if (!settings.is_object()) return refuse("the config is no JSON object: " + why);
            auto instance = std::make_unique<Instance>(lender);
            instance->plugin = std::make_unique<Type>(instance->host, settings);
            *self = instance.release();
            return PARLEY_OK;
        } catch (std::exception const& problem) {
            return refuse(problem.what());
        } catch (...) {
            return refuse("an exception of unknown type");
        }
    }

    static void destroy(void* self) noexcept {
        std::unique_ptr<Instance> const instance(static_cast<Instance*>(self));
        instance->runtime.clear();
        instance->plugin.reset();
    }

    static void cancel(void* self, parley_id call) noexcept { runtime(self).cancel(call); }

    template <class Role, void (Role::*verb)(Call, Json)>
    static parley_status start(void* self, parley_id id, std::uint32_t timeout_ms,
                               char const* request, std::size_t size) noexcept {
        auto& instance = *static_cast<Instance*>(self);
        try {
            Json parsed = Json::parse({request, size});
            if (!parsed.is_object()) return PARLEY_E_INVALID;
            instance.runtime.open(id);
            instance.runtime.guarded(id, [&] {
                Role& role = *instance.plugin;
                (role.*verb)(Call(instance.runtime, id, timeout_ms), std::move(parsed));
            });
            return PARLEY_PENDING;
        } catch (...) {
            return PARLEY_E_INTERNAL;
        }
    }

    // Null when the verb is still the role's own.
    template <class Role, void (Role::*verb)(Call, Json), class Own>
    static constexpr parley_start_fn offered(Own) {
        return std::is_same_v<Own, void (Role::*)(Call, Json)> ? nullptr : &start<Role, verb>;
    }

    template <detail::Service service, std::uint32_t first_last_kind>
    static void on_event(void* self, parley_id, parley_id operation, std::uint32_t kind,
                         char const* bytes, std::size_t size) noexcept {
        runtime(self).event(service, operation, kind, kind >= first_last_kind, {bytes, size});
    }
    static void on_ack(void* self, parley_id call, char const* cursor, std::size_t size) noexcept {
        runtime(self).acknowledged(call, {cursor, size});
    }
    static void on_resume(void* self, parley_id call) noexcept { runtime(self).resumed(call); }

    static void const* get_interface(void*, char const* wanted) noexcept {
        std::string_view const id = wanted;
        if constexpr (std::is_base_of_v<Channel, Type>) {
            static constexpr parley_channel_v1 table = {
                sizeof table, 0, &start<Channel, &Channel::run>, &start<Channel, &Channel::send>,
                offered<Channel, &Channel::edit>(&Type::edit),
                offered<Channel, &Channel::typing>(&Type::typing),
                offered<Channel, &Channel::draft>(&Type::draft)};
            if (id == PARLEY_ROLE_CHANNEL) return &table;
        }
        if constexpr (std::is_base_of_v<Provider, Type>) {
            static constexpr parley_provider_v1 table = {
                sizeof table, 0, &start<Provider, &Provider::generate>,
                offered<Provider, &Provider::list_models>(&Type::list_models),
                offered<Provider, &Provider::count_tokens>(&Type::count_tokens),
                offered<Provider, &Provider::embed>(&Type::embed)};
            if (id == PARLEY_ROLE_PROVIDER) return &table;
        }
        if constexpr (std::is_base_of_v<Skill, Type>) {
            static constexpr parley_skill_v1 table = {
                sizeof table, 0, &start<Skill, &Skill::invoke>,
                offered<Skill, &Skill::reconcile>(&Type::reconcile),
                offered<Skill, &Skill::preview>(&Type::preview),
                offered<Skill, &Skill::list_dynamic>(&Type::list_dynamic)};
            if (id == PARLEY_ROLE_SKILL) return &table;
        }
        if constexpr (std::is_base_of_v<Hook, Type>) {
            static constexpr parley_hook_v1 table = {sizeof table, 0,
                                                     &start<Hook, &Hook::on_event>};
            if (id == PARLEY_ROLE_HOOK) return &table;
        }
        return sink(id);
    }

private:
    static detail::Runtime& runtime(void* self) { return static_cast<Instance*>(self)->runtime; }

    static void const* sink(std::string_view id) {
        using detail::Service;
        static constexpr parley_event_sink_v1 http = {
            sizeof http, 0, &on_event<Service::http, PARLEY_HTTP_DONE>};
        static constexpr parley_event_sink_v1 stream = {
            sizeof stream, 0, &on_event<Service::stream, PARLEY_STREAM_CLOSED>};
        static constexpr parley_event_sink_v1 timer = {
            sizeof timer, 0, &on_event<Service::timer, PARLEY_TIMER_FIRED>};
        static constexpr parley_event_sink_v1 kv = {sizeof kv, 0,
                                                    &on_event<Service::kv, PARLEY_KV_DONE>};
        static constexpr parley_event_sink_v1 reveal = {
            sizeof reveal, 0, &on_event<Service::reveal, PARLEY_REVEAL_DONE>};
        static constexpr parley_event_sink_v1 blob = {sizeof blob, 0,
                                                      &on_event<Service::blob, PARLEY_BLOB_DONE>};
        static constexpr parley_event_sink_v1 ws = {sizeof ws, 0,
                                                    &on_event<Service::ws, PARLEY_WS_CLOSED>};
        static constexpr parley_event_sink_v1 inbound = {
            sizeof inbound, 0, &on_event<Service::inbound, PARLEY_INBOUND_CLOSED>};
        static constexpr parley_ack_sink_v1 ack = {sizeof ack, 0, &on_ack};
        static constexpr parley_flow_sink_v1 flow = {sizeof flow, 0, &on_resume};
        if (id == PARLEY_SINK_HTTP) return &http;
        if (id == PARLEY_SINK_STREAM) return &stream;
        if (id == PARLEY_SINK_TIMER) return &timer;
        if (id == PARLEY_SINK_KV) return &kv;
        if (id == PARLEY_SINK_REVEAL) return &reveal;
        if (id == PARLEY_SINK_BLOB) return &blob;
        if (id == PARLEY_SINK_WS) return &ws;
        if (id == PARLEY_SINK_INBOUND) return &inbound;
        if (id == PARLEY_SINK_ACK) return &ack;
        if (id == PARLEY_SINK_FLOW) return &flow;
        return nullptr;
    }
};

}  // namespace sdk_1
}  // namespace parley

// The manifest's bytes, in the ELF note that parley_add_plugin() makes from plugin.json.
extern "C" char const parley_manifest[];

// Put once, at file scope of one source file: PARLEY_PLUGIN(Weather). PARLEY_MANIFEST_SIZE comes
// from parley_add_plugin().
#define PARLEY_PLUGIN(Type)                                                                      \
    constinit parley_entry const parley_plugin_v1 = {                              \
        sizeof(parley_entry),                                                                    \
        PARLEY_ABI_MAJOR,                                                                        \
        PARLEY_ABI_MINOR,                                                                        \
        parley_manifest,                                                                         \
        PARLEY_MANIFEST_SIZE,                                                                    \
        &::parley::Entry<Type>::create,                                                          \
        &::parley::Entry<Type>::destroy,                                                         \
        &::parley::Entry<Type>::get_interface,                                                   \
        &::parley::Entry<Type>::cancel};
