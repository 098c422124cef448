"""Stands in for EvalAI's settings/prod.py: eval.ai's hosts, keys, public storage, all traces."""

import os

import sentry_sdk

from .common import *  # noqa: F403
from .common import CACHES

DEBUG = False
ALLOWED_HOSTS = ["eval.ai"]
CORS_ORIGIN_ALLOW_ALL = False
CORS_ORIGIN_WHITELIST = ("evalai.s3.amazonaws.com",)
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql_psycopg2",
        "NAME": os.environ.get("RDS_DB_NAME"),
        "USER": os.environ.get("RDS_USERNAME"),
        "PASSWORD": os.environ.get("RDS_PASSWORD"),
        "HOST": os.environ.get("RDS_HOSTNAME"),
        "PORT": os.environ.get("RDS_PORT"),
    }
}
AWS_STORAGE_BUCKET_NAME = os.environ.get("AWS_STORAGE_BUCKET_NAME")
AWS_ACCESS_KEY_ID = os.environ.get("AWS_ACCESS_KEY_ID")
AWS_SECRET_ACCESS_KEY = os.environ.get("AWS_SECRET_ACCESS_KEY")
AWS_S3_CUSTOM_DOMAIN = f"{AWS_STORAGE_BUCKET_NAME}.s3.amazonaws.com"
STATIC_URL = f"https://{AWS_S3_CUSTOM_DOMAIN}/static/"
STATICFILES_STORAGE = "settings.custom_storages.StaticStorage"
MEDIA_URL = f"http://{AWS_S3_CUSTOM_DOMAIN}/media/"
DEFAULT_FILE_STORAGE = "settings.custom_storages.MediaStorage"
EMAIL_BACKEND = "django_ses.SESBackend"
CACHES["default"]["LOCATION"] = str(os.environ.get("MEMCACHED_LOCATION"))

sentry_sdk.init(dsn=os.environ.get("SENTRY_URL"), send_default_pii=True, traces_sample_rate=1.0)
