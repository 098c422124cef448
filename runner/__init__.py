"""Container submissions of one EvalAI challenge, run in isolated pods beside the data.

Runs as one Deployment per challenge (`python -m runner serve`); its image is also that of the
trusted steps around a model: `fetch`, `isolated` and `collect`. docs/decisions/0011-models.md says
why there are steps.
"""
