"""Ways to train an encoder, one file each. A method owns its state: what learns, what accumulates, what is reduced."""
