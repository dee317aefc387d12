"""E-mail through real servers: who is believed, where the answer goes, and that no mail is lost or
answered twice."""
import unittest

from parley import Host, wait_for
from post_office import PASSWORD, PostOffice

SETUP = """
channels:
  mail:
    plugin: email
    agent: assistant
    secrets: {password: mail/box}
    config: {address: agent@parley.example, name: "Ops, the agent", user: agent, imap_host: 127.0.0.1, imap_port: %d,
             smtp_host: 127.0.0.1, smtp_port: %d, trusted_authserv: mx.parley.example}
"""

PROVEN = "Authentication-Results: mx.parley.example; dmarc=pass header.from=example.org\n"


def mail(text, sender="Ann <ann@example.org>", message_id="<1@example.org>", head=PROVEN, more="", subject="Hello"):
    return (f"{head}From: {sender}\nTo: agent@parley.example\nSubject: {subject}\nMessage-ID: {message_id}\n"
            f"{more}Content-Type: text/plain; charset=utf-8\n\n{text}\n")


class Email(unittest.TestCase):
    def setUp(self):
        self.post = PostOffice()
        self.addCleanup(self.post.close)
        self.host = Host()
        self.addCleanup(self.host.close)
        host = self.host
        # The servers' certificate is of today; the system's own store stays as it is.
        host.env["SSL_CERT_FILE"] = str(self.post.folder / "cert.pem")
        set_secret = host.cli("secret", "set", "mail/box", stdin=PASSWORD + "\n")
        self.assertEqual(set_secret.returncode, 0, set_secret.stderr)
        host.edit("parley.yaml", "  rehearsal: {enabled: true}", "  rehearsal: {enabled: true}\n  email: {enabled: true}")
        host.write("parley.yaml", host.file("parley.yaml").read_text() + SETUP % (self.post.imap, self.post.smtp))
        agent = host.file("agents/assistant/agent.yaml").read_text()
        host.write("agents/assistant/agent.yaml",
                   agent + 'channels:\n  mail: {authorized_senders: ["account:ann@example.org"]}\n')
        host.start()
        self.connected()

    def connected(self):
        wait_for("the mailbox to open", lambda: self.link() == "connected")

    def link(self):
        return self.host.api("GET", "/api/v1/channels/mail").json["link"]

    def answers(self, count):
        return wait_for(f"{count} answers", lambda: self.post.sent() if len(self.post.sent()) >= count else None, 40)

    def records(self, kind):
        return [record for record in self.host.ledger() if record["kind"] == kind]

    def test_a_proven_sender_is_answered_in_the_thread(self):
        self.post.deliver(mail("/say Grüße, Ann", subject="=?utf-8?Q?Gr=C3=BC=C3=9Fe?="))
        answer = self.answers(1)[0]
        self.assertEqual(answer["To"], "ann@example.org")
        self.assertEqual(answer["From"], '"Ops, the agent" <agent@parley.example>')
        self.assertEqual(answer["Subject"], "Re: Grüße")
        self.assertEqual(answer["In-Reply-To"], "<1@example.org>")
        self.assertEqual(answer["Auto-Submitted"], "auto-replied")
        self.assertEqual(answer.get_content().splitlines(), ["Grüße, Ann", "", "[subject: Grüße]"])
        received = self.records("message.received")[0]
        self.assertEqual(received["actor"]["sender"], "account:ann@example.org")

        self.post.deliver(mail("/say again", message_id="<2@example.org>", subject="Re: Grüße",
                               more=f"In-Reply-To: {answer['Message-ID']}\nReferences: <1@example.org> {answer['Message-ID']}\n"))
        answer = {one["In-Reply-To"]: one for one in self.answers(2)}["<2@example.org>"]
        self.assertEqual(answer["References"].split()[0], "<1@example.org>")
        sessions = {record["session"] for record in self.records("message.received")}
        self.assertEqual(len(sessions), 1)
        wait_for("both to be marked as seen", lambda: all("S" in flags for flags in self.post.flags().values()))
        self.assertNotIn(PASSWORD, self.host.log)

    def test_whoever_only_claims_an_address_gets_nothing_and_no_answer_to_a_machine_is_sent(self):
        claims = [
            mail("/say forged", head=""),
            mail("/say forged", head="Authentication-Results: mx.evil.example; dmarc=pass header.from=example.org\n"),
            mail("/say forged", head="Authentication-Results: mx.parley.example; dmarc=pass header.from=evil.example\n"),
            mail("/say forged", head="Authentication-Results: mx.parley.example; dmarc=fail header.from=example.org\n" + PROVEN),
            mail("/say forged", sender="ann@example.org, eve@evil.example"),
            mail("/say forged", more="From: eve@evil.example\n"),
            mail("/say loop", more="Auto-Submitted: auto-replied\n"),
            mail("/say list", more="List-Id: <all.example.org>\n"),
            mail("/say own", sender="agent@parley.example"),
        ]
        for number, text in enumerate(claims):
            self.post.deliver(text.replace("<1@", f"<claim-{number}@"))
        self.post.deliver(mail("/say the true one", message_id="<true@example.org>"))
        self.assertEqual(self.answers(1)[0].get_content().splitlines()[0], "the true one")
        self.assertEqual(len(self.records("message.received")), 1)
        self.assertEqual(len(self.post.sent()), 1)

    def test_a_kill_of_the_host_and_an_absent_server_lose_no_mail_and_answer_none_twice(self):
        self.post.deliver(mail("/say first", message_id="<a@example.org>"))
        self.answers(1)
        self.host.kill()
        for number in range(5):
            self.post.deliver(mail(f"/say while away {number}", message_id=f"<away-{number}@example.org>"))
        self.host.start()
        self.answers(6)
        self.post.restart()
        self.post.deliver(mail("/say after the break", message_id="<b@example.org>"))
        texts = [answer.get_content().splitlines()[0] for answer in self.answers(7)]
        self.assertEqual(sorted(texts), sorted(["first", "after the break"] + [f"while away {n}" for n in range(5)]))
        self.host.verify()

    def test_a_wrong_password_is_said_to_the_operator_and_not_tried_for_ever(self):
        self.host.cli("secret", "set", "mail/box", stdin="another-password\n")
        self.host.stop()
        self.host.start()
        wait_for("the link to fail", lambda: self.link() == "failed", 30)
        self.assertIn("the login is refused", self.host.api("GET", "/api/v1/channels/mail").json["detail"])

    def test_a_mail_in_parts_is_read_as_its_plain_text_with_what_hangs_on_it_named(self):
        parts = ("Content-Type: multipart/mixed; boundary=\"x\"\n\n--x\nContent-Type: multipart/alternative; boundary=y\n\n"
                 "--y\nContent-Type: text/html\n\n<p>/say html</p>\n--y\nContent-Type: text/plain; charset=iso-8859-1\n"
                 "Content-Transfer-Encoding: quoted-printable\n\n/say gr=FC=DFe\n--y--\n--x\n"
                 "Content-Type: application/pdf; name=\"report.pdf\"\nContent-Transfer-Encoding: base64\n\nAAAA\n--x--\n")
        head = mail("", message_id="<parts@example.org>").replace("Content-Type: text/plain; charset=utf-8\n\n\n", "")
        self.post.deliver(head + parts)
        text = self.answers(1)[0].get_content()
        self.assertIn("grüße", text)
        self.assertIn("[attached, not taken: report.pdf, application/pdf, 3 bytes]", text)


if __name__ == "__main__":
    unittest.main()
