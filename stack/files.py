"""Files written from templates."""

import os
import re

TEMPLATES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "templates")
PLACE = re.compile(r"@[a-z_]+@")


def fill(text, values):
    """The template with every @name@ replaced. A name without a value is a bug: KeyError."""
    return PLACE.sub(lambda found: str(values[found.group()[1:-1]]), text)


def template(name):
    with open(os.path.join(TEMPLATES, name), encoding="utf-8") as file:
        return file.read()


def write(path, text, mode=0o644):
    """Writes a file completely or not at all."""
    with open(os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w",
              encoding="utf-8") as file:
        file.write(text)
    os.replace(path + ".new", path)
