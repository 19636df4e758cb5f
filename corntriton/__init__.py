"""Plans, generates and runs Triton deployments of any-to-any multimodal models; what a flow or component file imports lies here."""

from corntriton.record.flow import flow

__all__ = ["flow"]
__version__ = "0.1.0"
