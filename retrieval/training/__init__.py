"""The training loop and what it is made of. Importing this package is cheap; ``loop`` brings torch and Fabric."""
