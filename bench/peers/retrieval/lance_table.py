"""LanceDB: a table without a vector index, which is an exact scan; BM25 by its full-text index, a B-tree and a bitmap for filters.

It syncs nothing. A put that is to be durable is followed by a sync of the files that it made, and of their directories."""

import os

import lancedb
import pyarrow
from lancedb.rerankers import RRFReranker

COLUMNS = ["id", "text", "category", "user", "price", "tags"]


class Store:
    offers = ["words", "records", "vector", "hybrid", "unsynced"]

    def __init__(self, path, dimension):
        string = pyarrow.string()
        fields = [("id", string), ("text", string), ("category", string), ("user", string), ("price", pyarrow.float64())]
        fields += [("tags", pyarrow.list_(string)), ("vector", pyarrow.list_(pyarrow.float32(), dimension))]
        self.schema = pyarrow.schema(fields)
        self.table = lancedb.connect(path).create_table("docs", schema=self.schema)
        self.fused = RRFReranker(K=60)
        self.synced = set()
        self.path = os.path.join(path, "docs.lance")

    def batch(self, first, records, vectors):
        columns = [[record[name] for record in records] for name in ("id", "text")]
        columns += [[record["payload"][name] for record in records] for name in ("category", "user", "price", "tags")]
        flat = pyarrow.array(vectors.ravel(), pyarrow.float32())
        columns.append(pyarrow.FixedSizeListArray.from_arrays(flat, vectors.shape[1]))
        arrays = [pyarrow.array(column, field.type) for column, field in zip(columns, self.schema)]
        return pyarrow.Table.from_arrays(arrays, schema=self.schema)

    def put_unsynced(self, batch):
        self.table.add(batch)

    def put(self, batch):
        self.table.add(batch)
        for name in ("data", "_transactions", "_versions"):
            directory = os.path.join(self.path, name)
            new = [entry.path for entry in os.scandir(directory) if entry.path not in self.synced]
            for path in [*new, directory]:
                descriptor = os.open(path, os.O_RDONLY)
                os.fsync(descriptor)
                os.close(descriptor)
            self.synced.update(new)

    def index(self):
        self.table.optimize()
        self.table.create_scalar_index("price", index_type="BTREE")
        self.table.create_scalar_index("category", index_type="BITMAP")
        self.table.create_fts_index("text")

    def vector(self, vector):
        return vector

    def condition(self, known):
        parts = [f"{key} < {value['$lt']}" if isinstance(value, dict) else f"{key} = '{value}'" for key, value in known.items()]
        return " AND ".join(parts)

    def found(self, query, score, columns=COLUMNS):
        return query.select([*columns, score]).limit(10).to_arrow()["id"].to_pylist()

    def by_words(self, words, records):
        return self.found(self.table.search(words, query_type="fts"), "_score", COLUMNS if records else ["id"])

    def by_vector(self, vector, condition):
        return self.found(self.table.search(vector).distance_type("cosine").where(condition, prefilter=True), "_distance")

    def hybrid(self, words, vector, condition):
        query = self.table.search(query_type="hybrid").vector(vector).text(words)
        query = query.distance_type("cosine").where(condition, prefilter=True).rerank(self.fused)
        return query.select(COLUMNS).limit(10).to_arrow()["id"].to_pylist()

    def latest(self, word):
        return self.found(self.table.search(word, query_type="fts").where("category = 'new'", prefilter=True), "_score")
