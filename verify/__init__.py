"""Verify the Mish activation on ONNX Runtime and TensorRT.

Modules import one way only, in this order: ``errors``, ``interrupt``, ``precision``, ``blocks``,
``ulp``, ``histogram``, ``oracle``, ``bands``, ``breakpoints``, ``samples``, ``cases``,
``tolerances``, ``judge``, ``findings``, ``library``, ``engines``, ``requirements``,
``properties``, ``replay``, ``record``, ``sweep``, ``observation``, ``sample_observation``,
``difference``, ``headroom``, ``run``, ``mutants``, ``report``, ``gate``, ``sweep_command``,
``observed_command``, ``command``, ``gate_command``, ``__main__``. A test holds them to it.
"""
