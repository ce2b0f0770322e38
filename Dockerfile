# docker build -t emailengine . && docker run -p 127.0.0.1:3000:3000 -e EENGINE_API_AUTH=user:password emailengine
FROM python:3.12-slim AS build
COPY . /source
RUN python -m venv /opt/emailengine && /opt/emailengine/bin/pip install --no-cache-dir /source

FROM python:3.12-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends redis-server \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --home-dir /var/lib/emailengine --shell /usr/sbin/nologin emailengine \
    && install -d -m 0700 -o emailengine -g emailengine /var/lib/emailengine
COPY --from=build /opt/emailengine /opt/emailengine
USER emailengine
# requests from outside the container need EENGINE_API_AUTH or an access token
ENV EENGINE_HOST=0.0.0.0 EENGINE_STATE_DIR=/var/lib/emailengine
VOLUME /var/lib/emailengine
EXPOSE 3000
HEALTHCHECK --interval=30s --timeout=10s --start-period=10s CMD \
    ["/opt/emailengine/bin/python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:3000/health', timeout=5)"]
ENTRYPOINT ["/opt/emailengine/bin/emailengine"]
