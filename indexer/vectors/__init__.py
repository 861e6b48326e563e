"""Vector indexes: the contract (`base`) and the implementation on FAISS (`faiss_index`)."""
