"""What a rehearsed repository holds in place of the components: runs inside the server, with numpy alone.

item ──> Batched, Continuous ──> lane of the Device that all members of an executor share ──> bytes
                                       └── when each item began and ended ──> Journal
"""

from .component import Batched, Continuous

__all__ = ["Batched", "Continuous"]
