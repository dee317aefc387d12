"""What `parley plugin new` writes is a plugin that works: built by contract.out_of_tree against an
installed SDK, dropped into a real home, accepted, and used."""
import re
import shutil
import socket
import unittest

from parley import BUILD, Host, wait_for

MADE = BUILD / "tests" / "contract" / "out_of_tree"


class Strangers(unittest.TestCase):
    def setUp(self):
        assert (MADE / "prefix").exists(), "run contract.out_of_tree first: it builds what is loaded here"
        self.host = Host()
        (self.host.home / "plugins").mkdir(mode=0o700, exist_ok=True)

    def tearDown(self):
        self.host.verify()
        self.host.close()

    def add(self, role, language):
        """Drops the plugin in, switches it on and accepts it, as its README says."""
        id, file = f"org.stranger.{language}", f"{role}_{language}.so"
        shutil.copy(MADE / f"{language}_{role}" / "build" / file, self.host.home / "plugins" / file)
        self.host.edit("parley.yaml", "  rehearsal: {enabled: true}",
                       f"  {id}: {{enabled: true}}\n  rehearsal: {{enabled: true}}")
        locked = self.host.cli("plugin", "lock", id, "--yes")
        self.assertEqual(locked.returncode, 0, locked.stderr)
        return id

    def allow(self, *skills):
        agent = self.host.file("agents/assistant/agent.yaml").read_text()
        listed = ", ".join(f'"{skill}"' for skill in skills)
        self.host.write("agents/assistant/agent.yaml", re.sub(r"allow: *\[", f"allow: [{listed}, ", agent))

    def test_a_session_calls_the_skill_of_each_language(self):
        skills = [self.add("skill", language) + ":count_words" for language in ("c", "cpp", "rust")]
        self.allow(*skills)
        self.host.start()
        for skill in skills:
            with self.subTest(skill):
                said = self.host.ask(f'/call {skill} {{"text": "one \\"two\\"\\n  caf\\u00e9 four"}}')
                self.assertEqual(said, f"{skill}: 4 words")
                self.assertEqual(self.host.ask(f'/call {skill} {{"text": ""}}'), f"{skill}: 0 words")
                self.assertIn("is missing", self.host.ask(f"/call {skill} {{}}"))

    def talk(self, language):
        id = self.add("channel", language)
        service = socket.create_server(("127.0.0.1", 0))
        service.settimeout(20)
        port = service.getsockname()[1]
        yaml = self.host.file("parley.yaml").read_text()
        self.host.write("parley.yaml", yaml + f"\nchannels:\n  lines: {{plugin: {id}, agent: assistant,"
                                              f" config: {{host: 127.0.0.1, port: {port}}}}}\n")
        agent = self.host.file("agents/assistant/agent.yaml").read_text()
        self.host.write("agents/assistant/agent.yaml",
                        agent + 'channels: {lines: {authorized_senders: ["account:ann"]}}\n')
        self.host.start()

        line, _ = service.accept()
        with line, line.makefile("rw", encoding="utf-8") as talk:
            line.settimeout(20)
            def say(text):
                talk.write(text)
                talk.flush()
            acks = []
            def answer():
                while (line := talk.readline()).startswith("ack "):
                    acks.append(line)
                return line
            self.assertEqual(talk.readline(), "from 0\n")
            say("1 eve /say not for you\n2 ann /say hello")
            say(" ann\n2 ann /say it twice\nx ann /say no number\n3\n")
            self.assertEqual(answer(), "to ann hello ann\n")
            say("3 ann /say two\n4 ann /say three\n")
            self.assertEqual([answer(), answer()], ["to ann two\n", "to ann three\n"])
            say("5 ann /call read_file {}\n")
            self.assertIn("missing", answer())
            # Refused, taken or dropped as a repeat: each is safe with the host, and said to be.
            self.assertEqual(acks, ["ack 1\n", "ack 2\n", "ack 2\n", "ack 3\n", "ack 4\n", "ack 5\n"])
        # The service hung up: the host runs the channel again from its cursor, and the talk goes on.
        again, _ = service.accept()
        with again, again.makefile("rw", encoding="utf-8") as talk:
            again.settimeout(20)
            wait_for("the channel to be connected", lambda: self.host.api(
                "GET", "/api/v1/channels/lines").json["link"] == "connected")
            self.assertEqual(talk.readline(), "from 5\n")
            talk.write("6 ann /say still here\n")
            talk.flush()
            self.assertEqual([talk.readline(), talk.readline()], ["ack 6\n", "to ann still here\n"])
        service.close()
        refused = self.host.api("GET", "/api/v1/channels/lines").json["refused"]
        self.assertEqual([one["sender"] for one in refused], ["account:eve"])

    def test_the_channel_in_cpp_talks_to_a_tcp_service(self):
        self.talk("cpp")

    def test_the_channel_in_rust_talks_to_a_tcp_service(self):
        self.talk("rust")

    def test_the_provider_of_each_language_answers(self):
        for language in ("cpp", "rust"):
            id = self.add("provider", language)
            self.host.edit("parley.yaml", "models:\n",
                           f"models:\n  {language}: {{provider: {id}, model: any, price: {{input: 0, output: 0}}}}\n")
            agent = self.host.file("agents/assistant/agent.yaml").read_text()
            self.host.write(f"agents/{language}/agent.yaml", agent.replace("model: default", f"model: {language}"))
            (self.host.home / "agents" / language).chmod(0o700)
        self.host.start()
        for language in ("cpp", "rust"):
            self.assertEqual(self.host.ask("one two  three", agent=language), "three two one")


if __name__ == "__main__":
    unittest.main()
