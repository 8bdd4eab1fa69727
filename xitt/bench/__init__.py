"""Measurements of the engine beside what a user would pick instead, on one machine, in one run.

``xitt bench`` runs :func:`xitt.bench.run.run`; ``90_performance`` shows what every machine has left (``xitt.bench.stored``). A speed is
always a ratio to a named peer on the same cores, over repeats that take turns.
"""
