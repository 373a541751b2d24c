"""A vector store as a peer of the retrieval benchmark: it takes commands and answers them, a line of JSON each.

    python retrieval SYSTEM DATA DIR        SYSTEM is lancedb, chroma or qdrant-edge

DATA holds `records.jsonl` and `queries.jsonl`, with `records.f32` and `queries.f32`, their vectors. What a command took is
measured here, around the store's own calls, in nanoseconds; reading the data is not in it.
"""

import json
import sys
from pathlib import Path
from time import perf_counter_ns

import numpy

BATCH = 1000


class Data:
    def __init__(self, path):
        self.records = lines(path / "records.jsonl")
        self.vectors = vectors(path / "records.f32", len(self.records))
        self.queries = lines(path / "queries.jsonl")
        self.query_vectors = vectors(path / "queries.f32", len(self.queries))


def lines(path):
    with open(path) as file:
        return [json.loads(line) for line in file]


def vectors(path, count):
    return numpy.fromfile(path, dtype=numpy.float32).reshape(count, -1)


def timed(call, *arguments):
    began = perf_counter_ns()
    answer = call(*arguments)
    return perf_counter_ns() - began, answer


def opened(system, path, dimension):
    if system == "lancedb":
        from lance_table import Store
    elif system == "chroma":
        from chroma_collection import Store
    else:
        from qdrant_shard import Store
    return Store(path, dimension)


def load(store, data, first, end, durable):
    took = 0
    put = store.put if durable else store.put_unsynced
    for at in range(first, end, BATCH):
        to = min(at + BATCH, end)
        batch = store.batch(at, data.records[at:to], data.vectors[at:to])
        took += timed(put, batch)[0]
    return {"took": [took]}


def search(store, data, case, condition, count):
    took, found = [], []
    for query, vector in zip(data.queries[:count], data.query_vectors):
        if case in ("words", "records"):
            each = timed(store.by_words, query["words"], case == "records")
        elif case == "vector":
            each = timed(store.by_vector, store.vector(vector), condition)
        else:
            each = timed(store.hybrid, query["words"], store.vector(vector), condition)
        took.append(each[0])
        found.append(each[1])
    return {"took": took, "found": found}


def alternate(store, data, count):
    """A put, then a search that must find it."""
    puts, searches = [], []
    vector = numpy.ones((1, data.vectors.shape[1]), dtype=numpy.float32)
    for number in range(count):
        name, word = f"new{number}", f"unheard{number}"
        payload = {"category": "new", "user": "u0", "price": 0.0, "tags": ["t0", "t1"]}
        record = {"id": name, "text": f"{word} w7 w9", "payload": payload}
        batch = store.batch(len(data.records) + number, [record], vector)
        puts.append(timed(store.put, batch)[0])
        took, found = timed(store.latest, word)
        searches.append(took)
        if found[:1] != [name]:
            raise RuntimeError(f"{name} is not found: {found}")
    return {"puts": puts, "took": searches}


def main(system, data, path):
    data = Data(Path(data))
    store = opened(system, path, data.vectors.shape[1])
    answer = {"offers": store.offers}
    unsynced = None
    while True:
        print(json.dumps(answer), flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        command = json.loads(line)
        match command["do"]:
            case "load":
                if command["durable"]:
                    into = store
                else:
                    into = unsynced = unsynced or opened(system, path + "-unsynced", data.vectors.shape[1])
                answer = load(into, data, command["first"], command["end"], command["durable"])
            case "index":
                unsynced = None
                answer = {"took": [timed(store.index)[0]]}
            case "search":
                answer = search(store, data, command["case"], store.condition(command["filter"]), command["queries"])
            case "alternate":
                answer = alternate(store, data, command["count"])


if __name__ == "__main__":
    main(*sys.argv[1:4])
