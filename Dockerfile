# docker build -t lowrankgan .    how to run it: docs/cluster.md
FROM python:3.11-slim-bookworm
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /lowrankgan
COPY Makefile requirements.lock pyproject.toml README.md LICENSE ./
COPY lowrankgan lowrankgan
# For another build of torch: --build-arg TORCH='torch==2.13.0 --index-url https://...'
ARG TORCH=torch==2.13.0
RUN make TORCH="$TORCH" .venv/.complete
COPY . .
# A requirements.lock newer than the environment would have it built again.
RUN touch .venv/.complete
ENV PATH=/lowrankgan/.venv/bin:$PATH
ENTRYPOINT ["make", "run"]
