"""MLflow's own REST server, as a process: what `mlflow server` mounts, over HTTP, on SQLite.

`mlflow server` itself wants pandas and takes twice as long to start; the application that answers
is the same one.
"""

import os
import sys
from pathlib import Path


def serve(folder: Path) -> None:
    """Say the address on stdout, and answer until killed."""
    os.environ |= {
        "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{folder}/mlflow.db",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(folder / "artifacts"),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
    }
    from mlflow.server import app
    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", 0, app, threaded=True)
    print(f"http://127.0.0.1:{server.port}", flush=True)  # noqa: T201
    server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
