"""What others wrote to stand in for services (`npm/stand_ins`), and the Node that it runs on, since Debian's is
too old."""
import pathlib

MODULES = pathlib.Path(__file__).resolve().parents[1] / "npm" / "stand_ins" / "node_modules"


def command(script, *words):
    """How to start one, as Popen takes it."""
    nodes = sorted(MODULES.glob("node-linux-*/bin/node"))
    if not nodes:
        raise AssertionError("npm/stand_ins is not installed; packaging/test does it")
    return [nodes[0], MODULES / script, *words]
