"""Real mail servers on loopback: dovecot, where the agent's mailbox is read and mail is handed in over
TLS, and opensmtpd behind it, which keeps whatever is sent. Both need root, as such servers do."""
import email
import email.policy
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile

from parley import free_port, wait_for

PASSWORD = "secret-of-the-mailbox"
ROOT = [] if os.geteuid() == 0 else ["sudo", "-n"]

DOVECOT = """
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/dovecot.log
protocols = imap submission
listen = 127.0.0.1
ssl = yes
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
auth_mechanisms = plain
mail_location = maildir:{folder}/mail/%u
mail_max_userip_connections = 100
first_valid_uid = 1
hostname = parley.example
passdb {{
  driver = static
  args = user=agent password={password}
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={folder}/mail
}}
submission_relay_host = 127.0.0.1
submission_relay_port = {relay}
service imap-login {{
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {imap}
    ssl = yes
  }}
}}
service submission-login {{
  inet_listener submission {{
    port = 0
  }}
  inet_listener submissions {{
    port = {smtp}
    ssl = yes
  }}
}}
"""

SMTPD = """
table everyone {{ "@" = mail }}
listen on 127.0.0.1 port {relay}
action "keep" maildir "{folder}/out" virtual <everyone>
match from any for any action "keep"
"""


class PostOffice:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="parley-mail-"))
        self.folder.chmod(0o711)
        self.imap, self.smtp, self.relay = free_port(), free_port(), free_port()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout",
                        self.folder / "key.pem", "-out", self.folder / "cert.pem", "-subj", "/CN=127.0.0.1",
                        "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        for name in ("mail", "out"):
            self.as_root("install", "-d", "-o", "mail", "-g", "mail", "-m", "0777", str(self.folder / name))
        self.as_root("install", "-d", str(self.folder / "run"))
        places = dict(folder=self.folder, password=PASSWORD, imap=self.imap, smtp=self.smtp, relay=self.relay)
        (self.folder / "dovecot.conf").write_text(DOVECOT.format(**places))
        (self.folder / "smtpd.conf").write_text(SMTPD.format(**places))
        self.processes = []
        self.start("smtpd", "-d", "-f", str(self.folder / "smtpd.conf"))
        self.dovecot = self.start("dovecot", "-F", "-c", str(self.folder / "dovecot.conf"))
        for port in (self.relay, self.imap, self.smtp):
            wait_for("the mail servers to listen", lambda: self.listens(port))
        self.count = 0

    def as_root(self, *words):
        return subprocess.run([*ROOT, *words], check=True, capture_output=True, text=True)

    def start(self, program, *words):
        log = open(self.folder / "log", "ab")
        path = shutil.which(program) or f"/usr/sbin/{program}"
        process = subprocess.Popen([*ROOT, path, *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        self.processes.append(process)
        return process

    def listens(self, port):
        assert all(process.poll() is None for process in self.processes), self.log
        with open("/proc/net/tcp") as sockets:
            return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
                       for line in list(sockets)[1:])

    @property
    def log(self):
        return "".join(self.as_root("cat", str(path)).stdout
                       for path in (self.folder / "log", self.folder / "dovecot.log") if path.exists())

    def end(self, process):
        if process.poll() is None:
            self.as_root("kill", f"-{signal.SIGTERM.value}", str(process.pid))
            process.wait(15)
        self.processes.remove(process)

    def restart(self):
        """The mailbox is away for a moment."""
        self.end(self.dovecot)
        self.dovecot = self.start("dovecot", "-F", "-c", str(self.folder / "dovecot.conf"))
        wait_for("dovecot to listen", lambda: self.listens(self.imap))

    def close(self):
        for process in list(self.processes):
            self.end(process)
        self.as_root("rm", "-rf", str(self.folder))

    def deliver(self, text):
        """What the operator's own server puts into the mailbox, with whatever it vouches for."""
        self.count += 1
        box = self.folder / "mail" / "agent"
        mail = pwd.getpwnam("mail")
        for name in ("", "new", "cur", "tmp"):
            self.as_root("install", "-d", "-o", "mail", "-g", "mail", "-m", "0700", str(box / name))
        path = self.folder / f"delivery-{self.count}"
        path.write_bytes(text.replace("\n", "\r\n").encode("utf-8", "surrogateescape"))
        self.as_root("chown", f"{mail.pw_uid}:{mail.pw_gid}", str(path))
        self.as_root("mv", str(path), str(box / "new" / f"{self.count:06}.test"))

    def flags(self):
        """The mails in the box, by their order, with what the server says of each."""
        listed = self.as_root("find", str(self.folder / "mail" / "agent"), "-name", "*.test*", "-printf", "%f\n").stdout
        return {int(name[:6]): name.partition(":2,")[2] for name in listed.splitlines()}

    def sent(self):
        paths = self.as_root("find", str(self.folder / "out"), "-path", "*/new/*", "-type", "f").stdout.splitlines()
        return [email.message_from_string(self.as_root("cat", path).stdout, policy=email.policy.default)
                for path in sorted(paths)]
