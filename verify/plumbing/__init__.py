"""Plumbing: everything about a plugin but its arithmetic, a named check for each claim.

The modules that run beside the plugin need only NumPy, TensorRT and cuda-core: `replay` copies
them into a finding's folder, where they run without the rest of this package. In the order of
their imports: ``check``, ``tensor``, ``device``, ``abi``, ``bench``, the groups of checks
(``registered``, ``built``, ``shaped``, ``kept``, ``ordered``, ``state``, ``composed``,
``failing``, ``v3``, ``sanitized``), ``table``, ``worker``. Around them: ``process``, ``replay``.
"""
