"""Encoders: timm backbones with a head, their cards and folders, and runtimes that are fast at inference.

Nothing is imported here, so that ``retrieval.models.card`` can be read without loading torch.
"""
