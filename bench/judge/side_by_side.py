# SPDX-License-Identifier: BSD-3-Clause
"""Some runs at a time, each in a process of its own; what they come to is told in the order in which they were asked for."""
import multiprocessing
import multiprocessing.connection

FORK = multiprocessing.get_context("fork")


class Job:
    """A process that works on one item, and says why it failed; None when it did not."""

    def __init__(self, number, item, work):
        self.number, self.item = number, item
        self.answer, there = FORK.Pipe(duplex=False)
        self.process = FORK.Process(target=Job.work, args=(item, work, there), daemon=True)
        self.process.start()
        there.close()  # or its end would not be seen

    @staticmethod
    def work(item, work, there):
        try:
            there.send(work(item))
        except KeyboardInterrupt:
            there.send("interrupted")

    def outcome(self):
        try:
            why = self.answer.recv()
        except EOFError:
            why = None
        self.process.join()
        self.answer.close()
        return why or ("its process ended with %d" % self.process.exitcode if self.process.exitcode else None)


def has_room(running, jobs, item, is_alone):
    if not running:
        return True
    return len(running) < jobs and not is_alone(item) and not any(is_alone(job.item) for job in running.values())


def take_down(running):
    """The processes take down what they made: they have the handlers of signals that their parent has."""
    for job in running.values():
        job.process.terminate()
    for job in running.values():
        job.process.join()


def run(items, jobs, work, is_alone, tell):
    """tell(item, why) for each in turn; why is None where work(item) succeeded. Nothing runs beside an item that is_alone()."""
    running, done, begun, told = {}, {}, 0, 0
    try:
        while told < len(items):
            while begun < len(items) and has_room(running, jobs, items[begun], is_alone):
                job = Job(begun, items[begun], work)
                running[job.answer] = job
                begun += 1
            for answer in multiprocessing.connection.wait(list(running)):
                job = running[answer]
                done[job.number] = job.outcome()
                del running[answer]
            while told in done:
                tell(items[told], done.pop(told))
                told += 1
    finally:
        take_down(running)
