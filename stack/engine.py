"""What all engines have in common: directory, ports, state, and how they are watched.

Each engine has a file that says how it is downloaded, configured, started and probed. `choice` has the
user's choices: version, profile and offset of the ports.
"""

import json
import os

from . import process
from .files import fill, template, write
from .errors import StackError

HOST = "127.0.0.1"


class NotYet(Exception):
    """The engine does not answer yet; the text says why."""


class Engine:
    """Base of the engines. `place` is the Place (directory, secrets, Java) that it belongs to."""

    name = None
    host = HOST
    whole = None       # the name of the ring of which it is a member
    default_ports = {}  # use -> default port
    memory = 0         # megabytes that it uses after its start
    end_timeout = 30   # seconds until SIGKILL follows SIGTERM
    slowness = 1       # a factor of the time until it must answer
    forks = False      # whether its process has children that must end with it

    def __init__(self, place, choice):
        self.place = place
        self.choice = choice
        self.directory = os.path.join(place.directory, self.name)
        self.ports = {use: port + choice["offset"] for use, port in self.default_ports.items()}

    # ---- defined by each engine

    @staticmethod
    def needs(choice):
        """Names of the engines that must answer before this one is started."""
        del choice
        return ()

    def version(self):
        """The full version."""
        raise NotImplementedError

    def variant(self):
        """Version, profile and ports in words. An engine does not replace one of another variant."""
        offset = self.choice["offset"]
        return "%s (%s%s%s)" % (
            self.version(), self.choice["profile"],
            ", client certificates" if self.choice["client_certificates"] else "",
            ", ports +%d" % offset if offset else "")

    def fetch(self):
        """Downloads what is missing."""
        raise NotImplementedError

    def prepare(self):
        """Writes the configuration and everything else that the first start needs."""
        raise NotImplementedError

    def commands(self):
        """[(role, argv, additional environment)], one for each process."""
        raise NotImplementedError

    def probe(self):
        """Returns if the engine answers; else raises NotYet, OSError or StackError."""
        raise NotImplementedError

    # ---- files and ports

    @property
    def secure(self):
        return self.choice["profile"] == "secure"

    def kept(self, kind):
        """A folder for one version and profile: another one does not understand its files."""
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
        """Writes conf/`target` from a template, followed by `extra`."""
        known = {"host": self.host, "conf": self.conf, "data": self.data, "log": self.log,
                 "tls": self.place.tls,
                 **{use + "_port": port for use, port in self.ports.items()}, **values}
        if self.secure:
            known.update({name.lower(): value for name, value in self.place.secrets().items()})
        text = fill(template(os.path.join(self.template_folder(), source)) + extra, known)
        # The file may contain a password.
        write(os.path.join(self.conf, target), text, 0o600)

    def template_folder(self):
        return self.name

    def port(self):
        """The port for clients: the first one."""
        return next(iter(self.ports.values()))

    def where(self):
        """The port for clients in words, with the host unless it is the usual one."""
        return ("port %d" if self.host == HOST else self.host + ":%d") % self.port()

    def context(self):
        """The ssl.SSLContext of a client, None in the plain profile."""
        return (self.place.context(self.choice["client_certificates"]) if self.secure else None)

    # ---- state

    @property
    def state_path(self):
        return os.path.join(self.directory, "state.json")

    def state(self):
        """The record of its start; None when it was not started, or was taken down."""
        try:
            with open(self.state_path, encoding="utf-8") as file:
                return json.load(file)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise StackError("%s cannot be read (%s): end the engine by hand and remove the file"
                          % (self.state_path, error)) from None

    def save(self, processes):
        write(self.state_path, json.dumps({
            "engine": self.name, "version": self.version(), **self.choice, "ports": self.ports,
            "directory": self.directory, "processes": processes}, indent=1) + "\n")

    def forget(self):
        os.unlink(self.state_path)

    def running(self):
        """The recorded processes that still run."""
        state = self.state()
        return [entry for entry in state["processes"] if process.alive(entry)] if state else []
