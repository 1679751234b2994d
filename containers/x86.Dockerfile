# A desk or an x86 industrial PC: trains, exports, verifies and measures on the CPU.
#   docker build -f containers/x86.Dockerfile -t edgebench .
#   docker run --rm --ipc=host -v /tmp:/tmp -v "$PWD:/data" edgebench run model.onnx
FROM python:3.11-slim-bookworm
RUN apt-get update \
    && apt-get install --yes --no-install-recommends openssh-client \
    && rm -rf /var/lib/apt/lists/*
COPY . /opt/edgebench
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu \
        --constraint /opt/edgebench/scripts/constraints.txt "/opt/edgebench[all,ncnn]"
ENV PATH=/opt/venv/bin:$PATH
RUN useradd --create-home --uid 1000 robot
USER robot
WORKDIR /data
ENTRYPOINT ["edgebench"]
CMD ["doctor"]
