"""Level 7: for those who write parts: each contract as a class of tests. Needs pytest and hypothesis."""

from grove_core.testing.isolations import IsolationConformance
from grove_core.testing.judges import JudgeConformance
from grove_core.testing.migrators import MigratorConformance, endpoint
from grove_core.testing.policies import FaultPolicyConformance, GcPolicyConformance, HoldConformance
from grove_core.testing.routers import RouterConformance
from grove_core.testing.sinks import SinkConformance
from grove_core.testing.validators import ValidatorConformance, commit
from grove_core.testing.versions import write_version

__all__ = [
    "FaultPolicyConformance",
    "GcPolicyConformance",
    "HoldConformance",
    "IsolationConformance",
    "JudgeConformance",
    "MigratorConformance",
    "RouterConformance",
    "SinkConformance",
    "ValidatorConformance",
    "commit",
    "endpoint",
    "write_version",
]
