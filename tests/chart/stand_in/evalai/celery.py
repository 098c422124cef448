"""Configures Celery as EvalAI does: broker by argument, the rest from Django's settings."""

from celery import Celery
from django.conf import settings

app = Celery(broker=settings.CELERY_BROKER_URL)
app.config_from_object("django.conf:settings")
