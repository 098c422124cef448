"""Stands in for EvalAI's settings/common.py: the same names, with what makes trouble elsewhere."""

import os

SECRET_KEY = os.environ["SECRET_KEY"]
DEBUG = True
ALLOWED_HOSTS: list[str] = []
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "storages",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "evalai.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
TIME_ZONE = "UTC"
USE_TZ = True
CORS_ORIGIN_ALLOW_ALL = True
CACHES = {"default": {"BACKEND": "django.core.cache.backends.memcached.MemcachedCache"}}
DATA_UPLOAD_MAX_MEMORY_SIZE = 4_294_967_296
FILE_UPLOAD_MAX_MEMORY_SIZE = 4_294_967_296
CELERY_BROKER_URL = f"sqs://{os.environ.get('AWS_ACCESS_KEY_ID')}:secret@"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"require_debug_true": {"()": "django.utils.log.RequireDebugTrue"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "filters": ["require_debug_true"]},
        "logfile": {"class": "logging.FileHandler", "filename": "django.log"},
    },
    "root": {"level": "INFO", "handlers": ["console", "logfile"]},
}
