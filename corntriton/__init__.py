"""Plans, generates and runs Triton deployments of any-to-any models; what flows and components import."""

from corntriton.errors import InvalidRequestError
from corntriton.record.flow import flow

__all__ = ["InvalidRequestError", "flow"]
__version__ = "0.1.0"
