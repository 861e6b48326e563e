"""Vector indexes: what any must do (`base`), and the one on FAISS (`faiss_index`)."""
