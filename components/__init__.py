"""The reusable components of the AI4H platform, one per module.

No `from __future__ import annotations` in these modules: Pulumi's schema analyzer reads the
annotations of arguments at run time.
"""
