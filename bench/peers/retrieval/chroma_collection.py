"""Chroma: a persistent collection. Its vectors are in a graph (HNSW), searched with so many candidates that it finds almost what an
exact search finds; it has no BM25 and, embedded, no hybrid search."""

import chromadb

INCLUDE = ["metadatas", "documents", "distances"]


class Store:
    offers = ["vector"]

    def __init__(self, path, dimension):
        client = chromadb.PersistentClient(path, settings=chromadb.Settings(anonymized_telemetry=False))
        graph = {"space": "cosine", "ef_construction": 100, "ef_search": 1000, "max_neighbors": 16}
        self.collection = client.create_collection("docs", configuration={"hnsw": graph}, embedding_function=None)

    def batch(self, first, records, vectors):
        return {
            "ids": [record["id"] for record in records],
            "embeddings": vectors,
            "documents": [record["text"] for record in records],
            "metadatas": [record["payload"] for record in records],
        }

    def put(self, batch):
        self.collection.add(**batch)

    def index(self):
        """It has no indexes to make."""

    def vector(self, vector):
        return [vector]

    def condition(self, known):
        parts = [{key: value} for key, value in known.items()]
        return parts[0] if len(parts) == 1 else {"$and": parts}

    def by_vector(self, vector, condition):
        return self.collection.query(query_embeddings=vector, where=condition, n_results=10, include=INCLUDE)["ids"][0]

    def latest(self, word):
        found = self.collection.get(where={"category": "new"}, where_document={"$contains": word}, limit=10)
        return found["ids"]
