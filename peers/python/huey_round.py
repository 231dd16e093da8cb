"""huey on SQLite, synced: a task with a follow-up. The consumer has two threads in this process."""

import tempfile
import threading
import time

from huey import SqliteHuey

import round as measure

rounds, in_flight = measure.arguments()
directory = tempfile.TemporaryDirectory(dir=".")
huey = SqliteHuey(filename=directory.name + "/huey.db", results=False, fsync=True)
places = threading.Semaphore(in_flight)


@huey.task()
def callback(text):
    places.release()


@huey.task()
def target(text):
    callback(text)


consumer = huey.create_consumer(workers=2, periodic=False, initial_delay=0.001, max_delay=0.01)
consumer.start()
began = time.perf_counter()
for _ in range(rounds):
    places.acquire()
    target(measure.TEXT)
for _ in range(in_flight):
    places.acquire()
measure.tell("huey", rounds, in_flight, began)
consumer.stop()
