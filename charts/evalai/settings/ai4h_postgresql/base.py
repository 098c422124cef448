"""Django's PostgreSQL backend with a password that may change while the process runs."""

import os
from pathlib import Path
from typing import Any

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """Reads the password from its file whenever it opens a connection."""

    def get_connection_params(self) -> dict[str, Any]:
        parameters = super().get_connection_params()
        password = Path(os.environ["RDS_PASSWORD_FILE"]).read_text(encoding="utf-8")
        parameters["password"] = password.strip()
        return parameters
