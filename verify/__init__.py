"""Verify the Mish activation on ONNX Runtime and TensorRT.

Modules import one way only, in this order: ``precision``, ``ulp``, ``oracle``, ``bands``,
``samples``, ``cases``, ``tolerances``, ``judge``, ``findings``, ``engines``, ``properties``,
``replay``, ``report``, ``run``, ``__main__``. A test holds them to it.
"""
