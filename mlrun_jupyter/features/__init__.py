"""Features: defined once, evaluated in batch, as a stream and online; stored with their history, served from where they are newest.

Modules, from the ground up: ``frames`` (what rows must be), ``expressions`` and ``steps`` (transforms), ``windows`` (aggregations),
``statistics`` and ``validation``, ``sources``, ``ingest``, ``retrieve`` (point in time), ``leakage``, ``online``, ``catalogue``.
"""
