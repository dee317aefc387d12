"""Real IRC servers on loopback, and a person who uses them."""
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

from parley import free_port, wait_for


class Ircd:
    """ngircd or inspircd, started for one test and ended by its own process."""

    def __init__(self, kind):
        self.kind, self.port = kind, free_port()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="parley-irc-"))
        self.process = None
        self.start()

    def start(self):
        words = self.ngircd() if self.kind == "ngircd" else self.inspircd()
        log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder)
        log.close()
        wait_for(f"{self.kind} to listen", self.listens)
        return self

    def listens(self):
        assert self.process.poll() is None, (self.folder / "log").read_text(errors="replace")
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def ngircd(self):
        config = self.folder / "ngircd.conf"
        config.write_text(f"[Global]\nName = irc.test.local\nInfo = test\nListen = 127.0.0.1\nPorts = {self.port}\n"
                          f"ServerUID = {os.getuid()}\nServerGID = {os.getgid()}\n"
                          "[Limits]\nMaxConnectionsIP = 0\nMaxPenaltyTime = 0\nMaxNickLength = 20\n"
                          "[Options]\nDNS = no\nIdent = no\nPAM = no\n")
        return [shutil.which("ngircd") or "/usr/sbin/ngircd", "-n", "-f", str(config)]

    def inspircd(self):
        config = self.folder / "inspircd.conf"
        config.write_text(f'''
<server name="irc.test.local" description="test" network="Test">
<admin name="a" nick="a" email="a@test.local">
<bind address="127.0.0.1" port="{self.port}" type="clients">
<connect name="main" allow="*" maxchans="20" timeout="20" pingfreq="120" hardsendq="1M" softsendq="64K" recvq="64K"
         threshold="1000" commandrate="100000" fakelag="no" localmax="100" globalmax="100" resolvehostnames="no" useident="no">
<path configdir="{self.folder}" datadir="{self.folder}" logdir="{self.folder}" moduledir="/usr/lib/inspircd/modules" runtimedir="{self.folder}">
<pid file="{self.folder}/pid">
<module name="cap"><module name="ircv3"><module name="ircv3_msgid"><module name="ircv3_servertime"><module name="ircv3_accounttag">
''')
        return [shutil.which("inspircd") or "/usr/sbin/inspircd", "--config", str(config), "--runasroot", "--nofork", "--nopid"]

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def close(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Person:
    """Somebody at a plain client."""

    def __init__(self, port, nick, bot="bot"):
        self.nick, self.bot, self.lines, self.rest = nick, bot, [], b""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.send(f"NICK {nick}", f"USER {nick} 0 * :{nick}")
        self.wait(lambda line: " 001 " in line)

    def send(self, *lines):
        self.socket.sendall("".join(line + "\r\n" for line in lines).encode())

    def read(self, seconds=0.05):
        self.socket.settimeout(seconds)
        try:
            data = self.socket.recv(65536)
        except (TimeoutError, socket.timeout):
            return
        if not data:
            raise AssertionError(f"{self.nick} was disconnected: {self.lines[-3:]}")
        self.rest += data
        *whole, self.rest = self.rest.split(b"\r\n")
        for line in whole:
            text = line.decode(errors="replace")
            if text.startswith("PING"):
                self.send("PONG" + text[4:])
            else:
                self.lines.append(text)

    def wait(self, condition, seconds=15):
        def found():
            self.read()
            return next((line for line in self.lines if condition(line)), None)
        return wait_for(f"a line for {self.nick}; heard {self.lines[-5:]}", found, seconds)

    def join(self, channel):
        self.send(f"JOIN {channel}")
        self.wait(lambda line: " 366 " in line and channel in line)

    def say(self, target, text):
        self.send(f"PRIVMSG {target} :{text}")

    def heard(self, target=None):
        """What the bot said, to a channel or to this person."""
        target = target or self.nick
        marker = f" PRIVMSG {target} :"
        return [line.split(marker, 1)[1] for line in self.lines if marker in line and line.split("!")[0].endswith(self.bot)]

    def wait_heard(self, text, target=None, seconds=15):
        def found():
            self.read()
            return next((line for line in self.heard(target) if text in line), None)
        return wait_for(f"{text!r} for {self.nick}; heard {self.lines[-5:]}", found, seconds)

    def quiet(self, seconds=0.7):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read()

    def close(self):
        self.socket.close()
