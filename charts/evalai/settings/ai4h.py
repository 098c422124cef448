"""EvalAI's Django settings for a deployment of one's own.

Mounted as settings/ai4h.py into EvalAI, whose settings/prod.py hard-codes eval.ai. Each setting
says what of upstream it replaces and why. Runs on EvalAI's Python 3.9, Django 2.2 and Celery 4.3.
"""

import os
from typing import Any

# Upstream starts Sentry while its settings load, with personal data and every trace. Kept from it.
_SENTRY_URL = os.environ.pop("SENTRY_URL", "")

from .prod import *  # noqa: E402, F403
from .prod import CACHES, DATABASES  # noqa: E402

_REGION = os.environ["AWS_DEFAULT_REGION"]

# --- Hosts. Upstream: ALLOWED_HOSTS and the CORS list are eval.ai's.

# Load balancers check health by a pod's address.
ALLOWED_HOSTS = [os.environ["HOSTNAME"], os.environ["POD_IP"]]
CORS_ORIGIN_ALLOW_ALL = False
# The interface has the API's own origin; nothing else needs the API in a browser.
CORS_ORIGIN_WHITELIST = []

# --- Transport. Upstream leaves these to its own nginx; here TLS ends at the load balancer.

SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = True
# The path of health checks, which come without the header. The ingress never routes it here.
SECURE_REDIRECT_EXEMPT = [r"^$"]
SECURE_HSTS_SECONDS = 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_BROWSER_XSS_FILTER = True
SESSION_COOKIE_SECURE = True
SESSION_COOKIE_HTTPONLY = True
CSRF_COOKIE_SECURE = True
CSRF_COOKIE_HTTPONLY = True
X_FRAME_OPTIONS = "DENY"

# --- Uploads. Upstream: bodies of 4 GB, all in memory. Files go to disk above a megabyte.
# This counts no files: uWSGI refuses larger bodies whatever they hold.

DATA_UPLOAD_MAX_MEMORY_SIZE = int(os.environ["MAX_UPLOAD_MIB"]) * 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024

# --- Database. Upstream: password in the environment, TLS optional.

DATABASES["default"] = {
    **DATABASES["default"],
    # Reads the password at each connection, because Secrets Manager rotates it.
    "ENGINE": "settings.ai4h_postgresql",
    "PASSWORD": None,
    "CONN_MAX_AGE": 60,
    "OPTIONS": {
        "sslmode": "verify-full",
        "sslrootcert": "/etc/ssl/rds/global-bundle.pem",
        "connect_timeout": 5,
    },
}

# --- AWS. Upstream passes keys around; None makes boto3 look for the pod's role.

AWS_ACCESS_KEY_ID = None
AWS_SECRET_ACCESS_KEY = None

# --- Media. Upstream: boto 2, which signs for us-east-1 only, and public objects.

DEFAULT_FILE_STORAGE = "storages.backends.s3boto3.S3Boto3Storage"
AWS_LOCATION = "media"
AWS_STORAGE_BUCKET_NAME = os.environ["AWS_STORAGE_BUCKET_NAME"]
AWS_S3_REGION_NAME = _REGION
AWS_S3_SIGNATURE_VERSION = "s3v4"
AWS_S3_ADDRESSING_STYLE = "virtual"
# A custom domain would mean unsigned addresses, and the bucket is private.
AWS_S3_CUSTOM_DOMAIN = None
AWS_QUERYSTRING_AUTH = True
AWS_QUERYSTRING_EXPIRE = 3600
AWS_DEFAULT_ACL = None
AWS_BUCKET_ACL = None
AWS_AUTO_CREATE_BUCKET = False
AWS_S3_FILE_OVERWRITE = False
MEDIA_URL = f"https://{AWS_STORAGE_BUCKET_NAME}.s3.{_REGION}.amazonaws.com/{AWS_LOCATION}/"

# --- Static files. Upstream: a public bucket. Here the image holds them and uWSGI serves them.

STATICFILES_STORAGE = "django.contrib.staticfiles.storage.StaticFilesStorage"
STATIC_ROOT = "/srv/static"
# Below /api, so that the ingress needs no rule of its own.
STATIC_URL = "/api/static/"

# --- Background tasks. Upstream: keys in the broker's URL, and names that Celery 4.3 ignores.

CELERY_BROKER_URL = "sqs://"
CELERYD_TASK_TIME_LIMIT = 3600
CELERYD_TASK_SOFT_TIME_LIMIT = 3300
CELERYD_MAX_TASKS_PER_CHILD = 100
BROKER_TRANSPORT_OPTIONS = {
    "region": _REGION,
    # Above the time limit: a task that is still running must not be handed out again.
    "visibility_timeout": 3900,
    "wait_time_seconds": 20,
    "polling_interval": 1,
}

# --- Cache. Upstream passes a missing address on as the text "None".

CACHES["default"] = {**CACHES["default"], "LOCATION": os.environ["MEMCACHED_LOCATION"]}

# --- Mail.

DEFAULT_FROM_EMAIL = os.environ.get("DEFAULT_FROM_EMAIL") or "no-reply@localhost"
SERVER_EMAIL = DEFAULT_FROM_EMAIL
AWS_SES_REGION_NAME = _REGION
AWS_SES_REGION_ENDPOINT = f"email.{_REGION}.amazonaws.com"
if not os.environ.get("DEFAULT_FROM_EMAIL"):
    EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"

# --- Logs. Upstream: to a file in the container, so they end with it. Mails to admins: none.

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"level": "INFO", "handlers": ["console"]},
    "loggers": {
        # Django's own defaults would keep these from the root.
        "django": {"level": "INFO", "handlers": [], "propagate": True},
        # At DEBUG it writes the parameters of each query.
        "django.db.backends": {"level": "WARNING"},
    },
}

# --- Error reports. Upstream: personal data on, every request traced.


def _without_data(event: dict[str, Any], hint: dict[str, Any]) -> dict[str, Any]:
    """What is left of a report: the error and its place, not the data it happened with."""
    for part in ("request", "user", "breadcrumbs", "extra"):
        event.pop(part, None)
    for error in event.get("exception", {}).get("values", []):
        for frame in (error.get("stacktrace") or {}).get("frames", []):
            frame.pop("vars", None)
    return event


if _SENTRY_URL:
    import sentry_sdk
    from sentry_sdk.integrations.django import DjangoIntegration

    sentry_sdk.init(
        dsn=_SENTRY_URL,
        environment=os.environ["ENVIRONMENT"],
        integrations=[DjangoIntegration()],
        send_default_pii=False,
        traces_sample_rate=0,
        before_send=_without_data,
    )
