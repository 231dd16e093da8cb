"""gevent: a greenlet that spawns another."""

import time

import gevent
from gevent.lock import Semaphore

import round as measure

rounds, in_flight = measure.arguments()
places = Semaphore(in_flight)


def callback(text):
    places.release()


def target(text):
    gevent.spawn(callback, text)


began = time.perf_counter()
for _ in range(rounds):
    places.acquire()
    gevent.spawn(target, measure.TEXT)
for _ in range(in_flight):
    places.acquire()
measure.tell("gevent", rounds, in_flight, began)
