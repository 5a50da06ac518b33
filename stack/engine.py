"""What every engine has in common: where it lies, its ports, its state, how it is watched.

An engine's own file says how it is fetched, configured, started and asked. `choice` is what the
user chose: version, profile and offset of the ports.
"""

import json
import os

from . import process
from .files import fill, template, write
from .trouble import Trouble

HOST = "127.0.0.1"


class NotYet(Exception):
    """The engine does not answer yet; the text says how it shows."""


class Engine:
    """Base of the engines. `place` is the Place (directory, secrets, Java) that it belongs to."""

    name = None
    host = HOST
    whole = None       # the name of the ring that it is a member of
    default_ports = {}  # what listens there -> its usual port
    memory = 0         # megabytes that it takes when it has just started
    patience = 30      # seconds that an orderly end may take
    slowness = 1       # times as long as others it may take until it answers
    forks = False      # whether a process has children that must not outlive it

    def __init__(self, place, choice):
        self.place = place
        self.choice = choice
        self.directory = os.path.join(place.directory, self.name)
        self.ports = {use: port + choice["offset"] for use, port in self.default_ports.items()}

    # ---- what an engine says about itself

    @staticmethod
    def needs(choice):
        """Names of the engines that must answer before this one is started."""
        del choice
        return ()

    def version(self):
        """The full version that is started."""
        raise NotImplementedError

    def variant(self):
        """Version, profile and ports in words; engines that differ in it do not replace another."""
        offset = self.choice["offset"]
        return "%s (%s%s%s)" % (
            self.version(), self.choice["profile"],
            ", client certificates" if self.choice["client_certificates"] else "",
            ", ports +%d" % offset if offset else "")

    def fetch(self):
        """Downloads what is not there yet."""
        raise NotImplementedError

    def prepare(self):
        """Writes the configuration and what must be there before the first start."""
        raise NotImplementedError

    def commands(self):
        """[(role, argv, environment on top)], one for every process."""
        raise NotImplementedError

    def probe(self):
        """Returns when the engine answers, raises NotYet, OSError or Trouble otherwise."""
        raise NotImplementedError

    # ---- places

    @property
    def secure(self):
        return self.choice["profile"] == "secure"

    def kept(self, kind):
        """A folder of one version and profile: another one would not understand what is there."""
        return os.path.join(self.directory, kind, "%s-%s" % (self.version(),
                                                             self.choice["profile"]))

    @property
    def conf(self):
        return self.kept("conf")

    @property
    def log(self):
        return os.path.join(self.directory, "log")

    @property
    def data(self):
        return self.kept("data")

    def folders(self):
        for folder in (self.conf, self.log, self.data):
            os.makedirs(folder, exist_ok=True)

    def configure(self, source, target, extra="", **values):
        """Writes conf/`target` from a template; `extra` is put behind it."""
        known = {"host": self.host, "conf": self.conf, "data": self.data, "log": self.log,
                 "tls": self.place.tls,
                 **{use + "_port": port for use, port in self.ports.items()}, **values}
        if self.secure:
            known.update({name.lower(): value for name, value in self.place.secrets().items()})
        text = fill(template(os.path.join(self.template_folder(), source)) + extra, known)
        # What is written may hold a password.
        write(os.path.join(self.conf, target), text, 0o600)

    def template_folder(self):
        return self.name

    def port(self):
        """The port that clients use: the first."""
        return next(iter(self.ports.values()))

    def where(self):
        """The same in words."""
        return ("port %d" if self.host == HOST else self.host + ":%d") % self.port()

    def context(self):
        """The ssl.SSLContext of a client, None in the plain profile."""
        return (self.place.context(self.choice["client_certificates"]) if self.secure else None)

    # ---- state

    @property
    def state_path(self):
        return os.path.join(self.directory, "state.json")

    def state(self):
        """What was started and how; None when it was not, or was taken down."""
        try:
            with open(self.state_path, encoding="utf-8") as file:
                return json.load(file)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise Trouble("%s cannot be read (%s): end the engine yourself and remove the file"
                          % (self.state_path, error)) from None

    def save(self, processes):
        write(self.state_path, json.dumps({
            "engine": self.name, "version": self.version(), **self.choice, "ports": self.ports,
            "directory": self.directory, "processes": processes}, indent=1) + "\n")

    def forget(self):
        os.unlink(self.state_path)

    def running(self):
        """The processes of the state that really run."""
        state = self.state()
        return [entry for entry in state["processes"] if process.alive(entry)] if state else []
