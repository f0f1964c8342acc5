"""The training loop: one readable loop on Lightning Fabric, checkpoints, resuming."""
