# A board with a 64-bit Arm processor, such as a Raspberry Pi 5: measures and evaluates what a desk made, without torch.
#   docker build --platform linux/arm64 -f containers/arm64.Dockerfile -t edgebench-arm64 .
#   docker run --rm --ipc=host -v /tmp:/tmp -v "$PWD:/data" edgebench-arm64 run NAME-onnx
FROM python:3.11-slim-bookworm
COPY . /opt/edgebench
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --constraint /opt/edgebench/scripts/constraints.txt \
        /opt/edgebench onnxruntime ncnn
ENV PATH=/opt/venv/bin:$PATH
RUN useradd --create-home --uid 1000 robot
USER robot
WORKDIR /data
ENTRYPOINT ["edgebench"]
CMD ["doctor"]
