"""The runner of the tests: what runs beside what, that nothing is lost, and what it says meanwhile."""

import io
import os
import signal
import sys
import time

import parallel
import ports
import units
from parallel import Task


def run(tasks, processors=2):
    """All results, by name; and the costs."""
    results, costs = {}, []
    parallel.Run(tasks, processors, lambda word, name, seconds, text: results.setdefault(
        name, []).append((word, text)), lambda *cost: costs.append(cost)).all()
    return results, costs


def noting(t, name, seconds=0.1, **more):
    """A task that notes its process, when it began and when it ended."""
    def function(emit):
        began = time.monotonic()
        time.sleep(seconds)
        with open(t.path(name), "w", encoding="ascii") as file:
            file.write("%d %f %f" % (os.getpid(), began, time.monotonic()))
        emit("ok", name, seconds, "")
    return Task(name, function, **more)


def noted(t, name):
    with open(t.path(name), encoding="ascii") as file:
        pid, began, ended = file.read().split()
    return int(pid), float(began), float(ended)


def most_at_once(spans):
    return max(sum(began <= moment < ended for _, began, ended in spans)
               for _, moment, _ in spans)


def test_each_result_comes_once(t):
    def many(emit):
        for number in range(500):
            emit("ok", "many/%d" % number, 0, "x" * 300)
    tasks = [Task("many", many)] + [noting(t, "one-%d" % number, 0) for number in range(40)]
    results, costs = run(tasks)
    t.equal(len(results), 540, "names")
    t.equal({len(found) for found in results.values()}, {1}, "results of a name")
    t.equal(len(costs), 41, "tasks")
    t.equal(len({noted(t, "one-%d" % number)[0] for number in range(40)}), 40, "processes")


def test_what_runs_beside_what(t):
    lane = [noting(t, "lane-%d" % number, lane="engines") for number in range(3)]
    compute = [noting(t, "compute-%d" % number) for number in range(4)]
    wait = [noting(t, "wait-%d" % number, 1, waits=True) for number in range(4)]
    alone = [noting(t, "alone-%d" % number, alone=True) for number in range(2)]
    run(alone + compute + wait + lane)
    spans = {task.name: noted(t, task.name) for task in lane + compute + wait + alone}
    of = {kind: [span for name, span in spans.items() if name.startswith(kind)]
          for kind in ("lane", "compute", "wait", "alone")}
    t.equal((len({pid for pid, _, _ in of["lane"]}), most_at_once(of["lane"])), (1, 1), "a lane")
    t.true(most_at_once(of["compute"]) <= 2, "more compute than there are processors")
    t.true(most_at_once(of["wait"]) > 2, "those that wait do not wait together")
    t.equal(most_at_once(of["alone"]), 1, "tests that measure at once")
    t.true(max(ended for name, (_, _, ended) in spans.items() if "alone" not in name)
           <= min(began for _, began, _ in of["alone"]), "something runs beside what measures")


def test_one_at_a_time(t):
    tasks = [noting(t, "task-%d" % number, 0.02, waits=number % 2 == 0) for number in range(6)]
    run(tasks, 1)
    spans = [noted(t, task.name) for task in tasks]
    t.equal(most_at_once(spans), 1, "at once")
    t.equal(sorted(spans, key=lambda span: span[1]), spans, "order")


def test_what_breaks(t):
    """A test that takes its process away has failed, and its lane goes on; so has one that raises.
    What comes after a task that failed is left out."""
    def dies(emit):
        os.kill(os.getpid(), signal.SIGKILL)

    def raises(emit):
        raise ValueError("the reason")
    results, _ = run([
        Task("dies", dies, lane="engines"), noting(t, "next", lane="engines"),
        Task("raises", raises), noting(t, "left-out", after="raises"),
        noting(t, "first"), noting(t, "second", after="first")])
    t.equal(results["dies"], [("fail", "the process that ran it ended with status -9")])
    (word, text), = results["raises"]
    t.true(word == "fail" and "ValueError: the reason" in text, text)
    t.equal(sorted(results), ["dies", "first", "next", "raises", "second"])
    t.true(noted(t, "first")[2] <= noted(t, "second")[1], "it did not wait")


def test_it_names_what_runs(t):
    """When nothing was printed for long."""
    said, silence, out = io.StringIO(), parallel.SILENCE, sys.stdout
    parallel.SILENCE, sys.stdout = 1, said
    try:
        run([noting(t, "integration/x/y", 2.3), noting(t, "quick", 0)])
    finally:
        parallel.SILENCE, sys.stdout = silence, out
    lines = said.getvalue().splitlines()
    t.true(1 <= len(lines) <= 2 and all(
        line.startswith("...   integration/x/y, ") and line.endswith(" s so far")
        for line in lines), lines)


def test_what_a_unit_test_program_prints(t):
    reader, found = units.Reader(), []
    for line in ("[  ]", "1..5", "ok 1 - passes", "[ LINE ] the reason", "not ok 2 - fails",
                 "# ../where.c:5: error", "ok 3 # SKIP left_out",
                 "# the machine is too busy to tell: it took 9 ms", "not ok 4 # SKIP measures",
                 "not ok 5 - last"):
        found += reader.take(line)
    t.equal(reader.complete, True, "as many as were planned")
    found += reader.end()
    t.equal([result[:3] for result in found], [
        ("passes", None, None),
        ("fails", "[ LINE ] the reason\nnot ok 2 - fails\n# ../where.c:5: error", None),
        ("left_out", None, "left_out"),
        ("measures", None, "the machine is too busy to tell: it took 9 ms"),
        ("last", "not ok 5 - last", None)], "results")


def test_ports_are_held(t):
    one, moved = ports.one(), ports.offset([2181, 9092, 9092])
    held = {one, 2181 + moved, 9092 + moved}
    t.true(all(ports.FIRST <= port < ports.LAST for port in held), held)

    def others(emit):
        for port in held:
            ports.held.clear()  # it is a copy of ours
            emit("ok", str(port), 0, str(ports.hold([port])))
    results, _ = run([Task("others", others)])
    t.equal(results, {str(port): [("ok", "False")] for port in held})
    ports.let_go(held)
    t.equal([ports.hold([port]) for port in held], [True] * 3, "once they are let go")
    ports.let_go(held)
