"""What helps where a Jetson's system lacks a shared library that TensorRT needs."""

# JetPack 6 has it in a package of its own, which some boards' systems lack (4paradigm/phanthymotus#154). JetPack 7.2
# has no such file; its own TensorRT needs none (Jonah-May-OSS/wyoming-whisper-trt#1038, blakeblackshear/frigate#23583).
SHARED = {
    "libnvdla_compiler.so": "on JetPack 6: sudo apt install nvidia-l4t-dla-compiler. JetPack 7 has no such file: take "
    "its own TensorRT, 10.16 or later, and not that of a container made for JetPack 6"
}
