"""Properties of Mish, searched for counterexamples with Hypothesis.

Modules import one way only, in this order: ``strategies``, ``subject``, ``slack``, ``base``,
``values``, ``agreement``, ``shape``, ``table``, ``shrink``, ``run``.
"""

from __future__ import annotations

from verify.properties.base import Falsified, Property, finding
from verify.properties.run import PROFILES, Outcome, check
from verify.properties.subject import Sessions, Subject
from verify.properties.table import PROPERTIES, by_name

__all__ = [
    "PROFILES",
    "PROPERTIES",
    "Falsified",
    "Outcome",
    "Property",
    "Sessions",
    "Subject",
    "by_name",
    "check",
    "finding",
]
