"""An image-retrieval application that its users can teach.

The layers, top to bottom, stand in the README; ``retrieval.workflows`` is where a program starts.
"""

__version__ = "0.1.0"
