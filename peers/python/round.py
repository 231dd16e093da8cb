"""Rounds that are under way, and the line that tells how long they took."""

import json
import sys
import time

TEXT = "a payload of thirty-two bytes..."


def arguments():
    """How many rounds, and how many in flight."""
    return int(sys.argv[1]), int(sys.argv[2])


def tell(peer, rounds, in_flight, began):
    """What the program that compares reads."""
    nanos = int((time.perf_counter() - began) * 1e9)
    print(json.dumps({"peer": peer, "rounds": rounds, "in_flight": in_flight, "nanos": nanos}), flush=True)
