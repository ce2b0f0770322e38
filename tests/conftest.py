"""Settings for all tests."""

import pytest
from hypothesis import HealthCheck, settings

# A busy machine must not turn a slow example into a failure.
settings.register_profile("everywhere", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("everywhere")


def pytest_configure(config: pytest.Config) -> None:
    # its caches compare bytes with text, which `python -bb` would charge to the test
    config.addinivalue_line("filterwarnings", "ignore::BytesWarning:.*hypothesis.*")
