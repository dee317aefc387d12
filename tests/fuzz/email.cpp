// A stranger's mail, as the mailbox gives it to the e-mail channel.
#include "target.hpp"

#include "mail.hpp"
#include "parley/text.hpp"

void try_bytes(std::string_view bytes) {
    auto const mail = email::read_mail(bytes, "mx.example");
    must(parley::is_utf8(mail.text) && parley::is_utf8(mail.subject), "what is read is text");
    must(mail.subject.find('\n') == mail.subject.npos, "a subject is one line");
    must(mail.from.address.empty() || email::is_address(mail.from.address), "an address is one");
    must(!mail.is_proven || !mail.from.address.empty(), "nobody is not proven");
}
