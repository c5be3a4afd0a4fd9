"""Verify the Mish activation on ONNX Runtime and TensorRT.

Modules import one way only, in this order: ``errors``, ``interrupt``, ``attached``, ``worker``,
``count``, ``precision``, ``blocks``, ``ulp``, ``histogram``, ``oracle``, ``bands``,
``breakpoints``, ``samples``, ``cases``, ``tolerances``, ``judge``, ``findings``, ``library``,
``engines``, ``requirements``, ``properties``, ``replay``, ``plumbing``, ``record``, ``sweep``,
``observation``, ``sample_observation``, ``difference``, ``extreme``, ``headroom``, ``support``,
``run``, ``power``, ``mutants``, ``report``, ``gate``, ``sweep_command``, ``observed_command``,
``observations_command``, ``command``, ``gate_command``, ``mutation``, ``mutation_command``,
``__main__``. A test holds them to it.
"""
