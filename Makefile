# Everything sets up what it needs in .venv first, from the locked versions in requirements/.
#   make up ARGS="--logs '/var/log/*.log'"     run Deckwatch on this machine
#   make test [ARGS="-k journal"]              style, types, import rules, tests
#   make bench | chaos [ARGS=...]              measure; kill things at random while lines are counted
#   make lock                                  newest versions into requirements/
#   make clean                                 away with .venv and every cache
ARGS ?=

.PHONY: up test bench chaos lock clean
up:
	@tools/up $(ARGS)
test:
	@tools/test $(ARGS)
bench chaos:
	@tools/run tests.$@ $(ARGS)
lock:
	@tools/lock
clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
