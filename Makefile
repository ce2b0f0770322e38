# make run      start emailengine here, in the foreground (ARGS="--api.port=3001" for options)
# make install  only make its environment in .venv
# make test     every check and every test; installs the servers they need where it may
# make lint     the checks without the tests
# make bench    measure the hot parts, some of them beside Twisted's own; takes a minute or two
# make fuzz     look for octets that the IMAP parser cannot bear, for FUZZ_SECONDS=600
# make clean    remove what the others made

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
# with the usual editable install twistd would not find its plugin
EDITABLE := --config-settings editable_mode=compat --editable
PACKAGED := setup.cfg pyproject.toml

FUZZ_SECONDS ?= 600
# what is found is kept here; tests/fuzz/corpus is only read
FOUND := build/fuzz

# what the tests need from the system: something that is there when it is installed, and its package
NEEDED := curl:curl redis-server:redis-server dovecot:dovecot-core dovecot/imap:dovecot-imapd dovecot/lmtp:dovecot-lmtpd

.PHONY: run install test lint bench fuzz clean servers

run: install
	@exec $(BIN)/emailengine $(ARGS)

install: $(VENV)/installed

test:
	@$(MAKE) --no-print-directory servers
	@$(MAKE) --no-print-directory lint
	$(BIN)/python -bb -m pytest

lint: $(VENV)/tests-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy emailengine tests

bench: $(VENV)/tests-installed
	@set -e; for script in tests/bench/bench_*.py; do echo "== $$script"; PYTHONPATH=. $(BIN)/python $$script; done

fuzz: $(VENV)/fuzz-installed
	@mkdir -p $(FOUND)
	PYTHONPATH=. $(BIN)/python tests/fuzz/fuzz_imap.py -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=$(FOUND)/ \
	  $(FOUND) tests/fuzz/corpus

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage _trial_temp*
	rm -f twisted/plugins/dropin.cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/installed: $(PACKAGED) $(BIN)/python
	@echo "Installing emailengine and what it uses into $(VENV) ..." >&2
	@$(PIP) $(EDITABLE) '.[embedded]'
	@$(BIN)/python -m compileall -q emailengine
	@touch $@

$(VENV)/tests-installed: $(PACKAGED) $(BIN)/python
	@echo "Installing emailengine and what its tests use into $(VENV) ..." >&2
	@$(PIP) $(EDITABLE) '.[embedded,tests]'
	@touch $@ $(VENV)/installed

$(VENV)/fuzz-installed: $(VENV)/tests-installed
	@echo "Installing what the fuzzer uses into $(VENV) ..." >&2
	@$(PIP) $(EDITABLE) '.[embedded,tests,fuzz]'
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c '' 2>/dev/null || \
	  { echo "Python is missing: sudo apt-get install -y python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "Python's venv module is missing: sudo apt-get install -y python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)

servers:
	@PATH="$$PATH:/usr/sbin:/usr/local/sbin"; missing=""; \
	for one in $(NEEDED); do \
	  there=$${one%%:*}; package=$${one##*:}; \
	  command -v $$there >/dev/null 2>&1 || [ -x /usr/lib/$$there ] || [ -x /usr/libexec/$$there ] || missing="$$missing $$package"; \
	done; \
	$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || missing="$$missing python3-venv"; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ]; then sudo=""; \
	elif sudo -n true 2>/dev/null; then sudo="sudo"; \
	else sudo="no"; fi; \
	if [ "$$sudo" = no ] || ! command -v apt-get >/dev/null 2>&1; then \
	  echo "The tests need servers that are not installed: sudo apt-get install -y$$missing" >&2; exit 1; \
	fi; \
	echo "Installing$$missing ..." >&2; \
	$$sudo apt-get update -qq || true; \
	$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null
