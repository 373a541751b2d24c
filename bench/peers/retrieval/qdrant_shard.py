"""qdrant-edge: a shard whose vectors are compared exactly, with indexes of the payload and BM25 by that of the text.

Its update writes to a log that is not synced. A put that is to be durable is followed by its flush."""

import qdrant_edge as qdrant
from qdrant_edge import FieldCondition, Filter, Fusion, MatchValue, Prefetch, Query, QueryRequest, RangeFloat, TextQuery

EXACT = qdrant.SearchParams(exact=True)
CANDIDATES = 100


class Store:
    offers = ["words", "records", "vector", "hybrid", "unsynced"]

    def __init__(self, path, dimension):
        self.names = {}
        vectors = qdrant.EdgeVectorParams(size=dimension, distance=qdrant.Distance.Cosine)
        # A graph of no edges is not built: optimizing merges segments and makes their indexes.
        none = qdrant.HnswIndexConfig(m=0, ef_construct=100, full_scan_threshold=10000)
        self.shard = qdrant.EdgeShard.create(path, qdrant.EdgeConfig(vectors=vectors, hnsw_config=none))
        of = qdrant.UpdateOperation.create_field_index
        self.shard.update(of("price", qdrant.FloatIndexParams()))
        self.shard.update(of("category", qdrant.KeywordIndexParams()))
        self.shard.update(of("text", qdrant.TextIndexParams(scoring=True)))

    def batch(self, first, records, vectors):
        points = []
        for number, (record, vector) in enumerate(zip(records, vectors.tolist()), first):
            payload = {"id": record["id"], "text": record["text"], **record["payload"]}
            self.names[number] = record["id"]
            points.append(qdrant.Point(number, vector, payload))
        return points

    def put_unsynced(self, batch):
        self.shard.update(qdrant.UpdateOperation.upsert_points(batch))

    def put(self, batch):
        self.put_unsynced(batch)
        self.shard.flush()

    def index(self):
        self.shard.optimize()

    def vector(self, vector):
        return vector.tolist()

    def condition(self, known):
        def one(key, value):
            if isinstance(value, dict):
                return FieldCondition(key, range=RangeFloat(lt=value["$lt"]))
            return FieldCondition(key, match=MatchValue(value))

        return Filter(must=[one(key, value) for key, value in known.items()])

    def found(self, request):
        return [point.payload["id"] for point in self.shard.query(request)]

    def by_words(self, words, records):
        request = QueryRequest(10, query=TextQuery("text", words), with_payload=records)
        if records:
            return self.found(request)
        return [self.names[point.id] for point in self.shard.query(request)]

    def by_vector(self, vector, condition):
        query = Query.Nearest(vector)
        return self.found(QueryRequest(10, query=query, filter=condition, with_payload=True, params=EXACT))

    def hybrid(self, words, vector, condition):
        parts = [
            Prefetch(CANDIDATES, query=TextQuery("text", words), filter=condition),
            Prefetch(CANDIDATES, query=Query.Nearest(vector), filter=condition, params=EXACT),
        ]
        fused = QueryRequest(10, query=Fusion.Rrf(k=60), prefetches=parts, with_payload=True)
        return self.found(fused)

    def latest(self, word):
        condition = Filter(must=[FieldCondition("category", match=MatchValue("new"))])
        return self.found(QueryRequest(10, query=TextQuery("text", word), filter=condition, with_payload=True))
