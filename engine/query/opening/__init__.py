"""An open generation: its records, vectors, encoder and reranker."""
