"""Runs tasks in parallel, each in its own process, and prints what they report.

A task without a lane gets a new process. Tasks of one lane run one after the other in one process,
because they share what is expensive to start (real engines) or to run twice at once (a browser).
How many run at once is decided by what they need: see Room.
"""

import atexit
import json
import os
import select
import signal
import sys
import time
import traceback

SILENCE = 60  # seconds without a line until the running tasks are named
WAITING = 3   # tasks for each processor that mostly wait


class Task:
    """One piece of work. `function(emit)` runs in another process and calls emit(word, name,
    seconds, text) for each result; word is ok, skip or fail.

    lane     the name of its lane, or None
    waits    it mostly waits: it needs no processor of its own
    alone    it measures: nothing runs beside it, and it comes last
    after    the name of the task that must have passed before; where that failed it is left out
    """

    def __init__(self, name, function, lane=None, waits=False, alone=False, after=None):
        self.name, self.function = name, function
        self.lane, self.waits, self.alone, self.after = lane, waits, alone, after
        self.started = self.failed = None


class Room:
    """The tasks that may run at the same time: as many computing tasks as there are processors, where
    two lanes of engines, which wait half of their time, count as one; and also some waiting tasks."""

    def __init__(self, processors):
        self.processors = processors

    def for_one_more(self, task, running):
        if task.alone or any(other.alone for other in running):
            return not running
        if self.processors == 1:
            return not running
        if task.waits:
            return sum(other.waits for other in running) < WAITING * self.processors
        busy = sum(0.5 if other.lane else 1 for other in running if not other.waits)
        return busy + (0.5 if task.lane else 1) <= self.processors


class Worker:
    """A forked process that receives numbers of tasks and runs them, one at a time."""

    def __init__(self, tasks, others):
        orders, self.send = os.pipe()
        self.receive, answers = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            # Another worker's pipe must close when the parent ends, so no other process keeps it open.
            for worker in others:
                os.close(worker.receive)
                worker.finish()
            os.close(self.send)
            os.close(self.receive)
            serve(tasks, orders, answers)
        os.close(orders)
        os.close(answers)
        self.task, self.held = None, b""

    def run(self, number, task):
        self.task = task
        task.started = time.monotonic()
        os.write(self.send, b"%d\n" % number)

    def messages(self):
        """The messages since the last call; None when the process has ended."""
        data = os.read(self.receive, 1 << 16)
        if not data:
            return None
        *lines, self.held = (self.held + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def finish(self):
        """Tells it to end normally; it has ended when messages() is None."""
        if self.send is not None:
            os.close(self.send)
            self.send = None

    def reap(self):
        """Its exit status; waits for its end."""
        self.finish()
        _, status = os.waitpid(self.pid, 0)
        os.close(self.receive)
        return os.waitstatus_to_exitcode(status)


def serve(tasks, orders, answers):
    """The main loop of a worker. Never returns."""
    status = 1
    try:
        signal.signal(signal.SIGTERM, interrupted)
        signal.signal(signal.SIGINT, interrupted)
        with os.fdopen(orders, encoding="ascii") as lines, \
                os.fdopen(answers, "w", encoding="ascii") as out:

            def emit(*message):
                out.write(json.dumps(message) + "\n")
                out.flush()
            for line in lines:
                before = used()
                try:
                    tasks[int(line)].function(emit)
                except Exception:
                    emit("fail", tasks[int(line)].name, 0, traceback.format_exc())
                emit("end", used() - before)
        status = 0
    except (SystemExit, BrokenPipeError):
        pass
    finally:
        try:
            atexit._run_exitfuncs()  # where the engines are stopped
        except Exception:
            traceback.print_exc()
            status = 1
        sys.stdout.flush()
        os._exit(status)


def interrupted(*_):
    """Ends a worker, which stops everything it has started; a second signal does not interrupt this."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(1)


def used():
    """CPU seconds of this process and of the processes that it has waited for."""
    return sum(os.times()[:4])


class Progress:
    """Shows the running tasks: on a terminal always, otherwise after a long time without output."""

    def __init__(self, total):
        self.total, self.done, self.live = total, 0, sys.stdout.isatty()
        self.printed = time.monotonic()

    def clear(self):
        """To be called before other output is printed."""
        if self.live:
            sys.stdout.write("\r\033[K")
        self.printed = time.monotonic()

    def show(self, running):
        now = time.monotonic()
        times = sorted((task.started, task.name) for task in running)
        if self.live:
            text = "%d of %d  %s" % (self.done, self.total, "  ".join(
                "%s %.0f s" % (name, now - started) for started, name in times))
            try:
                columns = os.get_terminal_size().columns
            except OSError:
                columns = 80
            sys.stdout.write("\r\033[K" + text[:columns - 1])
            sys.stdout.flush()
        elif now - self.printed >= SILENCE:
            for started, name in times:
                print("...   %s, %.0f s so far" % (name, now - started), flush=True)
            self.printed = now


class Run:
    """Runs the tasks and gives each result to result(word, name, seconds, text), and the CPU seconds
    of each task to cost(name, seconds, cpu)."""

    def __init__(self, tasks, processors, result, cost):
        self.tasks, self.result, self.cost = tasks, result, cost
        self.room, self.progress = Room(processors), Progress(len(tasks))
        self.pending = [number for number, task in enumerate(tasks) if not task.alone]
        self.alone = [number for number, task in enumerate(tasks) if task.alone]
        self.names = {task.name: task for task in tasks}
        self.workers, self.lanes, self.ended = [], {}, set()

    def running(self):
        return [worker.task for worker in self.workers if worker.task is not None]

    def all(self):
        """Runs all tasks to their end."""
        try:
            while self.pending or self.alone or self.workers:
                self.start()
                self.listen()
        except BaseException:
            self.abandon()
            raise
        finally:
            self.progress.clear()

    def gate(self, task):
        """Whether the task that must end before it has ended; None when that task failed."""
        before = self.names.get(task.after)
        if before is None:
            return True
        return None if before.failed else before.name in self.ended

    def start(self):
        """Starts the tasks that may run now. Measuring tasks start when all others have ended."""
        for number in list(self.pending):
            self.consider(self.pending, number)
        if not self.pending:
            for number in list(self.alone):
                self.consider(self.alone, number)

    def consider(self, queue, number):
        task, lane = self.tasks[number], self.lanes.get(self.tasks[number].lane)
        gate = self.gate(task)
        if gate is None:
            queue.remove(number)
            self.progress.done += 1
        elif (gate and (lane is None or lane.task is None)
              and self.room.for_one_more(task, self.running())):
            queue.remove(number)
            worker = lane or Worker(self.tasks, self.workers)
            if lane is None:
                self.workers.append(worker)
                if task.lane is not None:
                    self.lanes[task.lane] = worker
            worker.run(number, task)

    def listen(self):
        """Waits for messages of the workers, a second at most."""
        sources = {worker.receive: worker for worker in self.workers}
        ready, _, _ = select.select(list(sources), [], [], 1)
        for worker in (sources[source] for source in ready):
            messages = worker.messages()
            if messages is None:
                self.ended_worker(worker)
                continue
            for message in messages:
                self.take(worker, *message)
        self.progress.show(self.running())

    def take(self, worker, word, *rest):
        task = worker.task
        if word != "end":
            task.failed = task.failed or word == "fail"
            self.progress.clear()
            self.result(word, *rest)
            return
        worker.task = None
        self.cost(task.name, time.monotonic() - task.started, rest[0])
        self.ended.add(task.name)
        self.progress.done += 1
        if not any(self.tasks[number].lane == task.lane for number in self.pending + self.alone
                   if task.lane is not None):
            self.lanes.pop(task.lane, None)
            worker.finish()

    def ended_worker(self, worker):
        """The worker has died. In the middle of a test this is a failure, and its lane continues in
        another process."""
        status, task = worker.reap(), worker.task
        self.workers.remove(worker)
        for name in [name for name, other in self.lanes.items() if other is worker]:
            del self.lanes[name]
        if task is not None or status != 0:
            task = task or Task("(the end of a worker)", None)
            task.failed = True
            self.ended.add(task.name)
            self.progress.done += 1
            self.progress.clear()
            self.result("fail", task.name, time.monotonic() - (task.started or time.monotonic()),
                        "the process that ran it ended with status %d" % status)

    def abandon(self):
        """Interrupted: the workers end their processes and engines."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for worker in self.workers:
            os.kill(worker.pid, signal.SIGTERM)
        for worker in self.workers:
            worker.reap()
