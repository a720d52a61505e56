"""Fixtures that every package's tests may use."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

import hypothesis
import pytest

from tests import postgres

# Time limits would fail on a loaded machine and say nothing about the code. The same examples in every run, so that a
# failure is everybody's; `pytest --hypothesis-profile=explore` looks for new ones.
for _profile, _same_examples in (("waymeet", True), ("explore", False)):
    hypothesis.settings.register_profile(
        _profile,
        derandomize=_same_examples,
        deadline=None,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
        print_blob=True,
    )
hypothesis.settings.load_profile("waymeet")

_RUN_DIRECTORY = "WAYMEET_TEST_RUN"


def pytest_configure(config: pytest.Config) -> None:
    # The controller makes it before it starts its workers, which inherit the variable.
    if not hasattr(config, "workerinput"):
        os.environ[_RUN_DIRECTORY] = tempfile.mkdtemp(prefix="waymeet-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop(_RUN_DIRECTORY), ignore_errors=True)


def missing(requirement: str, reason: str) -> None:
    """Skip, visibly; or fail where the run says (WAYMEET_REQUIRE=postgres,netns) that this must not be skipped."""
    if requirement in os.environ.get("WAYMEET_REQUIRE", "").split(","):
        pytest.fail(f"{requirement} is required for this run, but {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgres_url(worker_id: str) -> str:
    """An empty database of this worker's own. All workers of a run share one cluster, made by the first that asks."""
    run = Path(os.environ[_RUN_DIRECTORY])
    known = run / "postgres"
    try:
        with (run / "postgres.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not known.exists():
                # The controller is a worker's parent; without workers it is this process.
                controller = os.getpid() if worker_id == "master" else os.getppid()
                known.write_text(postgres.start_for(controller))
        return postgres.create_database(known.read_text(), f"waymeet_{worker_id}")
    except postgres.Unavailable as error:
        missing("postgres", str(error))
        raise AssertionError("unreachable: `missing` always raises") from None
