"""Without memory every command ends with its documented status and one sentence, never a core."""

import resource
import shutil

from harness import MEMORY, slow

MEGABYTE = 1 << 20


def limited(t, megabytes, *args):
    return t.clickmill(*args, check=None, preexec=lambda: resource.setrlimit(
        resource.RLIMIT_AS, (megabytes * MEGABYTE, megabytes * MEGABYTE)))


def sweep(t, *args, fresh="", first=40, last=400, step=6):
    """From where the program can just be loaded to where it works: 8 with the sentence, then 0."""
    statuses = []
    for megabytes in range(first, last, step):
        if fresh:
            shutil.rmtree(t.path(fresh), ignore_errors=True)
        done = limited(t, megabytes, *args)
        if done.code == 127 and not statuses:  # the libraries do not fit
            continue
        statuses.append(done.code)
        if done.code == 0:
            break
        t.equal(done.code, MEMORY, "exit status of %s with %d MB\n%s" % (args, megabytes, done))
        t.says(done, "out of memory", "give the process more")
    t.equal(statuses[-1], 0, "%s with %d MB" % (args, last))
    t.true(len(statuses) > 1, "%s has had enough memory from the start" % (args,))


@slow  # a sanitizer takes more address space than there is
def test_commands_without_memory(t):
    t.write("a.jsonl", [{"user_id": "u%d" % n, "timestamp": 1772359200000 + n, "url": "/%d" % n}
                        for n in range(100000)])
    t.write("a.log", "".join(
        '8.8.%d.%d - - [10/Oct/2025:13:55:36 +0000] "GET /%d HTTP/1.1" 200 5 "-" "Mozilla/5.0 (X11; '
        'Linux x86_64; rv:125.0) Gecko/20100101 Firefox/%d.0"\n' % (n % 250, n // 250, n, n % 300)
        for n in range(30000)))
    sweep(t, "import", "a.log", fresh="data", step=14)
    sweep(t, "import", "a.jsonl", fresh="data", step=14)
    sweep(t, "query", "pages", "--format", "csv")
    sweep(t, "export", first=38)
    sweep(t, "verify")
    sweep(t, "recover", "--to", "saved", fresh="saved", first=36)
