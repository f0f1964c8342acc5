"""Pictures that the starter encoder learns from beside photographs; see `data/make_starter_set.py`."""
