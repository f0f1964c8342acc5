"""Types, protocols, errors and settings that every layer shares. Imports neither torch nor any engine."""
