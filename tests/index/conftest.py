"""One thread for FAISS: the work is small, and several threads wait for each other on a busy machine."""

import pytest

from retrieval.index.library import faiss


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    yield
    faiss.omp_set_num_threads(before)
