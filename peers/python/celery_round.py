"""Celery with `link=`, over a Redis on this machine. The callback tells the caller by a list in the same Redis."""

import os
import time

import redis
from celery import Celery

ENDED = "ended"

app = Celery("celery_round", broker=os.environ["ZATO_BENCH_REDIS"])
app.conf.task_ignore_result = True
app.conf.worker_prefetch_multiplier = 16
told = redis.Redis(unix_socket_path=os.environ["RESULT_SOCKET"])


@app.task
def target(text):
    return text


@app.task
def callback(text):
    told.rpush(ENDED, 1)


if __name__ == "__main__":
    import round as measure
    from celery_round import callback, target

    rounds, in_flight = measure.arguments()

    def one():
        target.apply_async((measure.TEXT,), link=callback.s())

    # The worker has started when it has ended one.
    one()
    told.blpop(ENDED)
    began = time.perf_counter()
    for number in range(rounds):
        if number >= in_flight:
            told.blpop(ENDED)
        one()
    for _ in range(min(rounds, in_flight)):
        told.blpop(ENDED)
    measure.tell("celery", rounds, in_flight, began)
