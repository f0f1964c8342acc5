"""Stateless maths on arrays and tensors: exact top-k, retrieval metrics."""
