#include "plugin/services.hpp"

#include "base/json.hpp"
#include "base/limits.hpp"
#include "plugin/blobs.hpp"

#include <parley/frame.h>
#define PARLEY_HOST_SIDE
#include <parley/plugin.h>

#include <boost/json/value.hpp>

#include <algorithm>
#include <utility>

namespace parley {

namespace {

class BlobPut final : public Operation {
public:
    using Operation::Operation;

    void begin() {
        if (!desk_.deps().blobs)
            return fail(PARLEY_BLOB_FAILED, Error(Fault::unavailable, "there are no blobs here"));
        auto draft = desk_.deps().blobs->begin(desk_.spec().name);
        if (!draft) return fail(PARLEY_BLOB_FAILED, draft.error());
        draft_ = std::move(*draft);
        auto early = std::exchange(early_, {});
        for (auto const& [type, body] : early)
            if (draft_) take(type, body);
    }

    // The first words may be there before begin().
    bool hear(std::uint16_t type, std::string_view body) override {
        if (draft_)
            take(type, body);
        else
            early_.emplace_back(type, body);  // bounded by the credit
        return true;
    }

private:
    void take(std::uint16_t type, std::string_view bytes) {
        auto keep_alive = shared_from_this();
        if (type == PARLEY_F_BLOB_FINISH) {
            auto blob = draft_->finish();
            draft_.reset();
            if (!blob) return fail(PARLEY_BLOB_FAILED, blob.error());
            return desk_.tell(id_, PARLEY_BLOB_DONE, to_text(*blob), true);
        }
        auto added = stream_holds_secret(bytes)
                         ? Result<>(Error(Fault::secret, "a secret may not be stored"))
                         : draft_->add(bytes);
        if (!added) {
            draft_.reset();
            return fail(PARLEY_BLOB_FAILED, added.error());
        }
        desk_.give_credit(id_, static_cast<std::uint32_t>(std::max<std::size_t>(bytes.size(), 1)));
    }

    std::unique_ptr<Blobs::Draft> draft_;
    std::vector<std::pair<std::uint16_t, std::string>> early_;
};

class BlobGet final : public Operation {
public:
    using Operation::Operation;

    void begin(std::string_view text) {
        auto request = parse_json(text);
        if (!request) return fail(PARLEY_BLOB_FAILED, request.error());
        if (!desk_.deps().blobs)
            return fail(PARLEY_BLOB_FAILED, Error(Fault::unavailable, "there are no blobs here"));
        id_of_blob_ = text_at(*request, "blob");
        auto blob = desk_.deps().blobs->open(desk_.spec().name, id_of_blob_);
        if (!blob) return fail(PARLEY_BLOB_FAILED, blob.error());
        blob_ = std::move(*blob);
        auto from = int_at(*request, "offset", 0), bytes = int_at(*request, "bytes", INT64_MAX);
        if (from < 0 || bytes < 0)
            return fail(PARLEY_BLOB_FAILED, Error(Fault::bad_input, "a range below zero"));
        at_ = std::min(static_cast<std::uint64_t>(from), blob_->size());
        end_ = at_ + std::min(static_cast<std::uint64_t>(bytes), blob_->size() - at_);
        go_on();
    }

    void drained() override {
        if (blob_) go_on();
    }

private:
    void go_on() {
        auto keep_alive = shared_from_this();
        while (at_ < end_ && !desk_.is_crowded()) {
            auto bytes =
                blob_->read(at_, std::min<std::uint64_t>(limits::blob_read_bytes, end_ - at_));
            if (!bytes) return fail(PARLEY_BLOB_FAILED, bytes.error());
            if (stream_holds_secret(*bytes))
                return fail(PARLEY_BLOB_FAILED, Error(Fault::secret, "the blob holds a secret"));
            at_ += bytes->size();
            desk_.tell(id_, PARLEY_BLOB_DATA, *bytes, false);
        }
        if (at_ < end_) return;
        auto size = std::exchange(blob_, nullptr)->size();
        desk_.tell(id_, PARLEY_BLOB_DONE, to_text(Blob{id_of_blob_, size}), true);
    }

    std::string id_of_blob_;
    std::unique_ptr<Blobs::Reader> blob_;
    std::uint64_t at_ = 0, end_ = 0;
};

}  // namespace

std::shared_ptr<Operation> start_blob_put(Desk& desk, std::uint64_t call, std::uint64_t id) {
    auto operation = std::make_shared<BlobPut>(desk, call, id, PARLEY_S_BLOB);
    desk.deps().loop->post([weak = std::weak_ptr(operation)] {
        if (auto self = weak.lock()) self->begin();
    });
    return operation;
}

std::shared_ptr<Operation> start_blob_get(Desk& desk, std::uint64_t call, std::uint64_t id,
                                          std::string_view request) {
    auto operation = std::make_shared<BlobGet>(desk, call, id, PARLEY_S_BLOB);
    desk.deps().loop->post([weak = std::weak_ptr(operation), request = std::string(request)] {
        if (auto self = weak.lock()) self->begin(request);
    });
    return operation;
}

}  // namespace parley
