"""`python -m edgebench.training.hub_process REPOSITORY FILE CACHE`: fetches one file of the Hugging Face hub."""

from __future__ import annotations

import sys

from edgebench.machine.children import end_with_parent


def main(arguments: list[str]) -> None:
    end_with_parent()
    repository, file, cache = arguments
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url

    try:
        url = hf_hub_url(repository, file, endpoint=constants.ENDPOINT)
        print("size", get_hf_file_metadata(url, timeout=constants.HF_HUB_ETAG_TIMEOUT).size, flush=True)
        hf_hub_download(repository, file, endpoint=constants.ENDPOINT, cache_dir=cache)
    except Exception as error:  # the client and its libraries can raise anything; the parent shows this line
        raise SystemExit((str(error).strip() or type(error).__name__).splitlines()[0]) from None


if __name__ == "__main__":
    main(sys.argv[1:])
