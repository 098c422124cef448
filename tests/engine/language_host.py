"""Stands in for Pulumi's Python host, which comes with the CLI but can't be built here.

The engine starts it in the project's folder, with the Python of the project's .venv. It runs the
program in this process; how is in the SDK, for programs of the Automation API.
"""

import gc
import runpy
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import language_pb2_grpc


def program() -> None:
    sys.path.insert(0, str(Path.cwd()))
    gc.disable()  # over the SDK's many classes, collections would take half of the time
    runpy.run_path("__main__.py", run_name="__main__")


if __name__ == "__main__":
    server = grpc.server(ThreadPoolExecutor(4))
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(LanguageServer(program), server)
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    server.wait_for_termination()  # the engine ends this process
