"""What LangGraph asks of a checkpointer in a growing conversation, and LangGraph's own SQLite saver under it.

    record OUT TURNS   runs a graph (an input, a model, a summary of where it stands) and writes each call, one JSON a line
    replay OUT DB      plays the recorded calls to `SqliteSaver` and prints what each took, in nanoseconds
"""

import base64
import json
import pickle
import random
import sqlite3
import sys
import time
from pathlib import Path

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, MessagesState, StateGraph

PLACE = ("thread_id", "checkpoint_ns", "checkpoint_id")
THREAD = {"configurable": {"thread_id": "conversation"}}


class Recorder(InMemorySaver):
    """Keeps what it is asked."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def keep(self, name, config, *arguments):
        # The rest of the configuration is the runtime's.
        place = {k: v for k, v in config["configurable"].items() if k in PLACE}
        self.calls.append(pickle.dumps((name, {"configurable": place}, *arguments)))

    def put(self, config, checkpoint, metadata, new_versions):
        self.keep("put", config, checkpoint, metadata, new_versions)
        return super().put(config, checkpoint, metadata, new_versions)

    def put_writes(self, config, writes, task_id, task_path=""):
        self.keep("put_writes", config, list(writes), task_id, task_path)
        return super().put_writes(config, writes, task_id, task_path)

    def get_tuple(self, config):
        self.keep("get_tuple", config)
        return super().get_tuple(config)


class State(MessagesState):
    turn: int


def words(dice, count):
    known = "agents know what they were told and what they did and keep it where they find it again".split()
    return " ".join(dice.choice(known) + str(dice.randrange(1000)) for _ in range(count))


def record(out, turns):
    dice = random.Random(7)
    graph = StateGraph(State)
    graph.add_node("model", lambda state: {"messages": [AIMessage(words(dice, 60))]})
    graph.add_node("count", lambda state: {"turn": state.get("turn", 0) + 1})
    graph.add_edge(START, "model")
    graph.add_edge("model", "count")
    graph.add_edge("count", END)
    saver = Recorder()
    app = graph.compile(checkpointer=saver)
    for _ in range(turns):
        app.invoke({"messages": [HumanMessage(words(dice, 20))]}, THREAD, durability="sync")
    Path(out).with_suffix(".pickle").write_bytes(pickle.dumps(saver.calls))
    with open(out, "w") as lines:
        for call in saver.calls:
            lines.write(json.dumps(line(saver.serde, pickle.loads(call))) + "\n")


def encoded(serde, value):
    form, data = serde.dumps_typed(value)
    return {"type": form, "data": base64.b64encode(data).decode()}


def line(serde, call):
    name, config = call[0], call[1]["configurable"]
    place = {"thread": config["thread_id"], "namespace": config.get("checkpoint_ns", "")}
    if name == "get_tuple":
        return {"op": "checkpoint.get", "request": place | known(checkpoint=config.get("checkpoint_id"))}
    if name == "put_writes":
        _, _, writes, task, path = call
        writes = [{"channel": channel, "encoded": encoded(serde, value)} for channel, value in writes]
        request = place | {"checkpoint": config["checkpoint_id"], "task": task, "path": path, "writes": writes}
        return {"op": "checkpoint.put_writes", "request": request}
    _, _, checkpoint, metadata, new_versions = call
    values = checkpoint["channel_values"]
    rest = {k: v for k, v in checkpoint.items() if k not in ("id", "channel_values", "channel_versions")}
    request = place | known(parent=config.get("checkpoint_id")) | {
        "checkpoint": checkpoint["id"],
        "versions": checkpoint["channel_versions"],
        "encoded": {channel: encoded(serde, values[channel]) for channel in new_versions if channel in values},
        "empty": [channel for channel in new_versions if channel not in values],
        "data": rest,
        "metadata": dict(metadata),
    }
    return {"op": "checkpoint.put", "request": request}


def known(**fields):
    return {name: value for name, value in fields.items() if value is not None}


def replay(out, db):
    connection = sqlite3.connect(db, check_same_thread=False)
    saver = SqliteSaver(connection)
    saver.setup()
    took = {"put": [], "put_writes": [], "get_tuple": [], "serializer": []}
    for call in pickle.loads(Path(out).with_suffix(".pickle").read_bytes()):
        name, *arguments = pickle.loads(call)
        if name == "put":
            began = time.perf_counter_ns()
            saver.serde.dumps_typed(arguments[1])
            took["serializer"].append(time.perf_counter_ns() - began)
        began = time.perf_counter_ns()
        getattr(saver, name)(*arguments)
        took[name].append(time.perf_counter_ns() - began)
    synchronous = connection.execute("PRAGMA synchronous").fetchone()[0]
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    print(json.dumps({"took": took, "bytes": Path(db).stat().st_size, "synchronous": synchronous}))


if __name__ == "__main__":
    if sys.argv[1] == "record":
        record(sys.argv[2], int(sys.argv[3]))
    else:
        replay(sys.argv[2], sys.argv[3])
