"""What EvalAI's worker imports."""

from .main import evaluate

__all__ = ["evaluate"]
