"""Who may read a data directory: its owner alone. The visitors' key has a file of its own."""

import os
import shutil
import stat

from harness import CORRUPT, Skip
from test_accesslog import exported, log


def modes(t, data="data"):
    found = {".": stat.S_IMODE(os.stat(t.path(data)).st_mode)}
    for name in os.listdir(t.path(data)):
        found[name] = stat.S_IMODE(os.lstat(t.path(data, name)).st_mode)
    return found


def test_a_new_directory_is_its_owners(t):
    os.umask(0o022)
    t.write("a.log", log("8.8.8.8 - -"))
    t.clickmill("import", "a.log")
    t.equal(modes(t), {".": 0o700, "clickmill.db": 0o600, "lock": 0o600, "secret.key": 0o600},
            "modes")
    process = t.start("run", "--no-demo", "--listen", "127.0.0.1:0")
    t.until(lambda: os.path.exists(t.path("data", "clickmill.sock")), "it runs", process=process)
    t.until(lambda: os.path.exists(t.path("data", "clickmill.db-wal")), "it writes", process=process)
    found = modes(t)
    t.equal({name for name, mode in found.items() if mode & 0o077}, set(), "open to others")
    t.true({"clickmill.db-wal", "clickmill.db-shm", "clickmill.sock"} <= set(found), str(found))
    process.stop()


def older(t, key, data="data"):
    """As an earlier edition has left it: open to all, and the key in the database."""
    database = t.database(data)
    database.executescript("CREATE TABLE secret (name TEXT PRIMARY KEY, value BLOB NOT NULL) "
                           "WITHOUT ROWID; PRAGMA journal_mode = WAL;")
    database.execute("INSERT INTO secret VALUES ('visitor', ?)", (key,))
    database.commit()
    database.close()
    os.remove(t.path(data, "secret.key"))
    os.chmod(t.path(data), 0o755)
    for name in os.listdir(t.path(data)):
        os.chmod(t.path(data, name), 0o644)


def key_of(t, data="data"):
    with open(t.path(data, "secret.key"), "rb") as file:
        content = file.read()
    t.equal((content[:8], len(content)), (b"cm-key-1", 40), "the key's file")
    return content[8:]


def test_an_older_directory_is_changed(t):
    t.write("a.log", log("8.8.8.8 - -") + log("8.8.8.8 - john doe"))
    t.clickmill("import", "a.log")
    key, events = key_of(t), exported(t)
    older(t, key)
    letter = t.clickmill("dead", "show", "1").out
    t.true("john doe" in letter, "a sealed letter, with the key in the database: " + letter)
    t.equal(modes(t)["clickmill.db"], 0o644, "a reader changes nothing")
    t.clickmill("process")
    t.equal(modes(t), {".": 0o700, "clickmill.db": 0o600, "lock": 0o600, "secret.key": 0o600},
            "modes")
    t.equal(key_of(t), key, "the key")
    for name in os.listdir(t.path("data")):
        with open(t.path("data", name), "rb") as file:
            t.equal((name, key in file.read()), (name, name == "secret.key"), "where the key is")
    tables = {name for name, in t.database().execute("SELECT name FROM sqlite_master")}
    t.true("secret" not in tables, "the table is there still")
    t.equal(t.clickmill("dead", "show", "1").out, letter, "the letter")
    t.clickmill("import", "a.log")
    t.equal(exported(t), events, "the same names and row keys")


def test_an_older_database_beside_another_key(t):
    """Of two keys none is thrown away."""
    t.write("a.log", log("8.8.8.8 - -"))
    t.clickmill("import", "a.log")
    key, other = key_of(t), b"cm-key-1" + bytes(32)
    older(t, key)
    t.write("data/secret.key", other)
    t.says(t.clickmill("process", check=CORRUPT), "data/secret.key is another key", "move away")
    os.remove(t.path("data", "secret.key"))
    t.clickmill("process")
    t.equal(key_of(t), key, "the key")


def test_a_directory_of_others_keeps_its_rights(t):
    """--data . is no data directory alone: only the files are closed."""
    os.mkdir(t.path("shared"))
    os.chmod(t.path("shared"), 0o755)
    t.write("shared/index.html", "hello")
    os.chmod(t.path("shared/index.html"), 0o644)
    t.ingest([{"user_id": "u", "timestamp": 1, "url": "/"}], data="shared")
    found = modes(t, "shared")
    t.equal((found["."], found["index.html"], found["clickmill.db"]), (0o755, 0o644, 0o600), "modes")


def test_a_key_that_is_none(t):
    t.write("a.log", log("8.8.8.8 - -"))
    t.clickmill("import", "a.log")
    t.write("data/secret.key", b"cm-key-1 and not enough")
    t.says(t.clickmill("import", "a.log", check=CORRUPT), "data/secret.key", "restore it")


def test_a_copy_of_the_database_opens_no_letter(t):
    """Who has the database and not the key has no address."""
    t.write("a.log", log("8.8.8.8 - -") + log("8.8.8.8 - john doe"))
    t.clickmill("import", "a.log")
    os.mkdir(t.path("copy"))
    shutil.copy(t.path("data", "clickmill.db"), t.path("copy", "clickmill.db"))
    shown = t.clickmill("dead", "show", "1", "--data", "copy").out
    t.true("8.8.8.8" not in shown and shown.startswith("cm-sealed-1:"), shown)


def test_root_in_a_directory_of_somebody_else(t):
    """What root makes there is the owner's, who could not open it again otherwise."""
    if os.geteuid() != 0:
        raise Skip("only root can give files to another user")
    t.write("a.log", log("8.8.8.8 - -"))
    os.mkdir(t.path("data"))
    os.chown(t.path("data"), 65534, 65534)
    t.clickmill("import", "a.log")
    owners = {name: os.stat(t.path("data", name)).st_uid for name in os.listdir(t.path("data"))}
    t.equal(owners, {"clickmill.db": 65534, "lock": 65534, "secret.key": 65534}, "owners")
    older(t, key_of(t))
    t.clickmill("process")
    t.equal(os.stat(t.path("data", "secret.key")).st_uid, 65534, "of the key that was moved")
