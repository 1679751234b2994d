"""How files of weights are called, and how a user says which Python file may make the network that they belong to."""

SAFE = ".safetensors"  # numbers alone
PICKLED = (".pth", ".pt", ".bin", ".ckpt", ".pkl", ".pickle", ".tar", ".th")  # torch's, which may name code to run
TRUST = "EDGEBENCH_TRUST_MODEL"  # the environment variable with FILE.py:function
