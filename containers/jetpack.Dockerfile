# A Jetson with JetPack 6: builds and measures TensorRT plans with the TensorRT of NVIDIA's image.
#   docker build -f containers/jetpack.Dockerfile -t edgebench-jetpack .
#   docker run --rm --runtime nvidia --ipc=host -v /tmp:/tmp -v "$PWD:/data" edgebench-jetpack export NAME-onnx --target trt
FROM nvcr.io/nvidia/l4t-jetpack:r36.4.0
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-venv python3-libnvinfer \
    && rm -rf /var/lib/apt/lists/*
COPY . /opt/edgebench
RUN python3 -m venv --system-site-packages /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --constraint /opt/edgebench/scripts/constraints.txt \
        /opt/edgebench "cuda-python>=12.6,<13"
ENV PATH=/opt/venv/bin:$PATH
RUN useradd --create-home --uid 1000 --groups video robot
USER robot
WORKDIR /data
ENTRYPOINT ["edgebench"]
CMD ["doctor"]
