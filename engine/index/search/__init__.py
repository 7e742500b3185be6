"""Search by FAISS: exact, by codes, over segments, on a GPU."""
